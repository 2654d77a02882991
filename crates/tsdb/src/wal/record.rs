//! Bodies of log records.
//!
//! ```text
//! 1 series      (u64 ref | uvarint n | n × (text name, text value))*
//! 2 samples     u64 ref0 | i64 t0 | (varint ref-ref0 | varint t-t0 | u64 float bits)*       the first sample too
//! 3 tombstones  (u64 ref | varint first | varint last)*
//! 4 exemplars   u64 ref0 | i64 t0 | (varint ref-ref0 | varint t-t0 | u64 float bits | labels)*
//! 6 metadata    (uvarint ref | u8 type | uvarint n | n × (text, text))*
//! ```
//!
//! The published page calls the differences unsigned and leaves out types 5 and 11 to 13; what stands here is what the
//! files hold. Types 5 (marks of the out-of-order log), 7 to 10 and 12, 13 (native histograms) and 11 (samples with start
//! times) are known by name and not read yet. An unknown type is skipped, as Prometheus does.

use crate::codec::{CodecError, Fields, put_text, put_uvarint, put_varint};
use model::Labels;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const TOMBSTONES: u8 = 3;
const EXEMPLARS: u8 = 4;
const METADATA: u8 = 6;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Refs of new series.
    Series,
    /// Float samples.
    Samples,
    /// Deletions.
    Tombstones,
    /// Exemplars.
    Exemplars,
    /// Types and helps.
    Metadata,
    /// Known, not read yet: what it is.
    Unsupported(&'static str),
    /// Empty, or of a type no version has written: skipped.
    Unknown,
}

/// A sample as the log names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSample {
    /// The log's ref of the series.
    pub series: u64,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value.
    pub value: f64,
}

/// A deletion as the log names it: samples of `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTombstone {
    /// The log's ref of the series.
    pub series: u64,
    /// First instant deleted.
    pub first: i64,
    /// Last instant deleted.
    pub last: i64,
}

/// Says what a record is about.
pub fn kind_of(record: &[u8]) -> RecordKind {
    match record.first() {
        Some(&SERIES) => RecordKind::Series,
        Some(&SAMPLES) => RecordKind::Samples,
        Some(&TOMBSTONES) => RecordKind::Tombstones,
        Some(&EXEMPLARS) => RecordKind::Exemplars,
        Some(&METADATA) => RecordKind::Metadata,
        Some(5) => RecordKind::Unsupported("marks of the out-of-order log"),
        Some(7 | 9) => RecordKind::Unsupported("native histograms"),
        Some(8 | 10) => RecordKind::Unsupported("native float histograms"),
        Some(11) => RecordKind::Unsupported("samples with start times"),
        Some(12 | 13) => RecordKind::Unsupported("native histograms with start times"),
        Some(_) | None => RecordKind::Unknown,
    }
}

fn body(record: &[u8]) -> Fields<'_> {
    Fields::new(record.get(1..).unwrap_or_default())
}

/// Appends a series record.
pub fn encode_series<'a>(into: &mut Vec<u8>, series: impl IntoIterator<Item = (u64, &'a Labels)>) {
    into.push(SERIES);
    for (number, labels) in series {
        into.extend_from_slice(&number.to_be_bytes());
        put_labels(into, labels);
    }
}

fn put_labels(into: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(into, labels.len() as u64);
    for (name, value) in labels {
        put_text(into, name);
        put_text(into, value);
    }
}

/// Starts a samples record; [`encode_sample`] adds to it. `base` is the first sample's ref and time.
pub fn start_samples(into: &mut Vec<u8>, base: (u64, i64)) {
    into.push(SAMPLES);
    into.extend_from_slice(&base.0.to_be_bytes());
    into.extend_from_slice(&base.1.to_be_bytes());
}

/// Adds one sample to the samples record begun with the same `base`.
#[inline]
pub fn encode_sample(into: &mut Vec<u8>, base: (u64, i64), sample: LogSample) {
    put_varint(into, sample.series.wrapping_sub(base.0) as i64);
    put_varint(into, sample.at.wrapping_sub(base.1));
    into.extend_from_slice(&sample.value.to_bits().to_be_bytes());
}

/// Appends a tombstones record.
pub fn encode_tombstones(into: &mut Vec<u8>, tombstones: &[LogTombstone]) {
    into.push(TOMBSTONES);
    for tombstone in tombstones {
        into.extend_from_slice(&tombstone.series.to_be_bytes());
        put_varint(into, tombstone.first);
        put_varint(into, tombstone.last);
    }
}

/// Appends the entries of a series record.
///
/// # Errors
/// The body does not decode; entries before that were appended.
pub fn decode_series(record: &[u8], into: &mut Vec<(u64, Labels)>) -> Result<(), CodecFailure> {
    let mut fields = body(record);
    let mut pairs = Vec::new();
    while !fields.is_empty() {
        let number = fields.u64("series ref")?;
        into.push((number, take_labels(&mut fields, &mut pairs)?));
    }
    Ok(())
}

fn take_labels<'a>(fields: &mut Fields<'a>, pairs: &mut Vec<(&'a str, &'a str)>) -> Result<Labels, CodecError> {
    pairs.clear();
    for _ in 0..fields.uvarint("number of labels")? {
        pairs.push((fields.text("label name")?, fields.text("label value")?));
    }
    if pairs.windows(2).all(|two| two[0].0 < two[1].0) {
        Ok(Labels::from_sorted(pairs.iter().copied()))
    } else {
        Ok(Labels::from_pairs(pairs.iter().copied()))
    }
}

/// Appends the samples of a samples record.
///
/// # Errors
/// The body does not decode; samples before that were appended.
pub fn decode_samples(record: &[u8], into: &mut Vec<LogSample>) -> Result<(), CodecFailure> {
    let mut fields = body(record);
    if fields.is_empty() {
        return Ok(());
    }
    let base_series = fields.u64("first series ref")?;
    let base_at = fields.u64("first time")? as i64;
    // ten bytes a sample at least
    into.reserve(fields.remaining() / 10);
    while !fields.is_empty() {
        let series = base_series.wrapping_add(fields.varint("series ref")? as u64);
        let at = base_at.wrapping_add(fields.varint("time")?);
        let value = f64::from_bits(fields.u64("value")?);
        into.push(LogSample { series, at, value });
    }
    Ok(())
}

/// Appends the entries of a tombstones record.
///
/// # Errors
/// The body does not decode; entries before that were appended.
pub fn decode_tombstones(record: &[u8], into: &mut Vec<LogTombstone>) -> Result<(), CodecFailure> {
    let mut fields = body(record);
    while !fields.is_empty() {
        let series = fields.u64("series ref")?;
        let (first, last) = (fields.varint("first time")?, fields.varint("last time")?);
        into.push(LogTombstone { series, first, last });
    }
    Ok(())
}

/// Checks that an exemplars record decodes, and says how many it holds. They are not kept.
///
/// # Errors
/// The body does not decode.
pub fn check_exemplars(record: &[u8]) -> Result<usize, CodecFailure> {
    let mut fields = body(record);
    if fields.is_empty() {
        return Ok(0);
    }
    fields.u64("first ref")?;
    fields.u64("first time")?;
    let (mut count, mut pairs) = (0, Vec::new());
    while !fields.is_empty() {
        fields.varint("series ref")?;
        fields.varint("time")?;
        fields.u64("value")?;
        take_labels(&mut fields, &mut pairs)?;
        count += 1;
    }
    Ok(count)
}

/// Checks that a metadata record decodes, and says how many entries it holds. They are not kept.
///
/// # Errors
/// The body does not decode.
pub fn check_metadata(record: &[u8]) -> Result<usize, CodecFailure> {
    let mut fields = body(record);
    let mut count = 0;
    while !fields.is_empty() {
        fields.uvarint("series ref")?;
        fields.u8("metric type")?;
        for _ in 0..fields.uvarint("number of fields")? {
            fields.text("field name")?;
            fields.text("field value")?;
        }
        count += 1;
    }
    Ok(count)
}

/// A record whose checksum holds but whose body does not decode: damage, as Prometheus counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot decode record: {0}")]
pub struct CodecFailure(#[from] CodecError);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Vec<LogSample>> {
        let one = (any::<u64>(), any::<i64>(), any::<u64>());
        proptest::collection::vec(one, 1..50).prop_map(|all| {
            let sample = |(series, at, bits)| LogSample { series, at, value: f64::from_bits(bits) };
            all.into_iter().map(sample).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn samples_round_trip(samples in samples()) {
            let base = (samples[0].series, samples[0].at);
            let mut record = Vec::new();
            start_samples(&mut record, base);
            for sample in &samples {
                encode_sample(&mut record, base, *sample);
            }
            prop_assert_eq!(kind_of(&record), RecordKind::Samples);
            let mut read = Vec::new();
            decode_samples(&record, &mut read).expect("decodes");
            prop_assert_eq!(read.len(), samples.len());
            for (a, b) in read.iter().zip(&samples) {
                prop_assert_eq!((a.series, a.at, a.value.to_bits()), (b.series, b.at, b.value.to_bits()));
            }
        }

        #[test]
        fn series_round_trip(pairs in proptest::collection::vec(
            (any::<u64>(), proptest::collection::vec(("[a-zä\"]{1,9}", ".{0,9}"), 0..6)), 0..6)) {
            let series: Vec<(u64, Labels)> = pairs.iter().map(|(n, p)| (*n, Labels::from_pairs(p.iter().map(|(a, b)| (a, b))))).collect();
            let mut record = Vec::new();
            encode_series(&mut record, series.iter().map(|(n, l)| (*n, l)));
            let mut read = Vec::new();
            decode_series(&record, &mut read).expect("decodes");
            prop_assert_eq!(read, series);
        }

        #[test]
        fn tombstones_round_trip(all: Vec<(u64, i64, i64)>) {
            let all: Vec<_> = all.into_iter().map(|(series, first, last)| LogTombstone { series, first, last }).collect();
            let mut record = Vec::new();
            encode_tombstones(&mut record, &all);
            let mut read = Vec::new();
            decode_tombstones(&record, &mut read).expect("decodes");
            prop_assert_eq!(read, all);
        }

        #[test]
        fn arbitrary_bodies_never_panic(record: Vec<u8>) {
            let _ = decode_series(&record, &mut Vec::new());
            let _ = decode_samples(&record, &mut Vec::new());
            let _ = decode_tombstones(&record, &mut Vec::new());
            let _ = check_exemplars(&record);
            let _ = check_metadata(&record);
        }
    }
}
