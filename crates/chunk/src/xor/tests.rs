#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use super::*;
use crate::ChunkError;
use proptest::collection::vec;
use proptest::prelude::*;

fn decode(bytes: &[u8]) -> Result<Vec<(i64, u64)>, ChunkError> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let count = decode_into(bytes, &mut times, &mut values)?;
    assert_eq!((times.len(), values.len()), (count, count));
    Ok(times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect())
}

fn bits_of(samples: &[(i64, u64)]) -> impl Iterator<Item = (i64, f64)> + '_ {
    samples.iter().map(|(at, bits)| (*at, f64::from_bits(*bits)))
}

/// Steps that visit every width of the delta of delta and both its edges.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(15_000i64),
        14_990..15_010i64,
        -9_000..9_000i64,
        -70_000..70_000i64,
        -600_000..600_000i64,
        (0u32..64, -2i64..=2).prop_map(|(width, off)| (1i64 << width).wrapping_add(off)),
        any::<i64>(),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<f64>().prop_map(f64::to_bits),
        (0..1_000_000u32).prop_map(|n| f64::from(n).to_bits()),
        Just(0x7ff0_0000_0000_0002),
        Just((-0.0f64).to_bits()),
        (0u32..64, 0u32..64).prop_map(|(a, b)| 1u64 << a | 1 << b),
    ]
}

fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
    (any::<i64>(), vec((step(), value()), 0..140)).prop_map(|(start, steps)| {
        let mut at = start;
        steps
            .into_iter()
            .map(|(step, bits)| {
                at = at.wrapping_add(step);
                (at, bits)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn any_times_and_bit_patterns_round_trip(samples in samples()) {
        let bytes = encode(bits_of(&samples)).unwrap();
        prop_assert_eq!(usize::from(sample_count(&bytes).unwrap()), samples.len());
        prop_assert_eq!(decode(&bytes).unwrap(), samples);
    }

    #[test]
    fn resumed_writers_write_what_uninterrupted_ones_do(samples in samples(), at in any::<prop::sample::Index>()) {
        let whole = encode(bits_of(&samples)).unwrap();
        let at = if samples.is_empty() { 0 } else { at.index(samples.len()) };
        let mut open = OpenXor::resume(&encode(bits_of(&samples[..at])).unwrap()).unwrap();
        for (at, value) in bits_of(&samples[at..]) {
            open.append(at, value).unwrap();
        }
        prop_assert_eq!(open.bytes(), &whole[..]);
        if let Some((at, bits)) = samples.last() {
            prop_assert_eq!((open.last_time(), open.last_value().to_bits()), (*at, *bits));
        }
    }

    #[test]
    fn iteration_starts_anywhere(samples in samples(), offset in 0u16..160) {
        let bytes = encode(bits_of(&samples)).unwrap();
        let from = XorSamples::from_offset(&bytes, offset).unwrap();
        let rest: Vec<_> = from.map(|sample| sample.map(|(at, value)| (at, value.to_bits())).unwrap()).collect();
        prop_assert_eq!(&rest[..], &samples[usize::from(offset).min(samples.len())..]);
    }

    #[test]
    fn arbitrary_bytes_end_in_samples_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let all = decode_into(&bytes, &mut times, &mut values);
        // one by one gives the same samples and the same verdict
        let single: Result<Vec<_>, _> = XorSamples::new(&bytes).and_then(Iterator::collect);
        match (all, single) {
            (Ok(count), Ok(single)) => prop_assert!(count == single.len() && single.iter().map(|s| s.0).eq(times)),
            (Err(all), Err(single)) => prop_assert_eq!(all, single),
            (all, single) => prop_assert!(false, "{all:?} and {single:?}"),
        }
        let _ = OpenXor::resume(&bytes).map(|mut open| open.append(1, 1.0));
    }

    #[test]
    fn a_changed_or_cut_chunk_never_panics(samples in samples(), at in any::<prop::sample::Index>(), bit in 0..8u8, cut: bool) {
        let mut bytes = encode(bits_of(&samples)).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            let whole = decode(&bytes);
            prop_assert!(samples.is_empty() && at >= 2 || whole.is_err());
        } else {
            bytes[at] ^= 1 << bit;
            let _ = decode(&bytes);
        }
    }
}

#[test]
fn bytes_are_as_the_format_says() {
    // t0 = 0 and 1.0; then one second later the same; then the same again
    let bytes = encode([(0, 1.0), (1000, 1.0), (2000, 1.0)]).unwrap();
    assert_eq!(bytes, [0, 3, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xe8, 0x07, 0b000_00000]);
    // delta of delta +8192 is the last that takes 14 bits, -8191 the first
    let edge = |dod: i64| encode([(0, 0.0), (0, 0.0), (dod, 0.0)]).unwrap().len();
    let base = 2 + 1 + 8 + 1;
    assert_eq!([edge(8192), edge(-8191)], [base + 3; 2]);
    assert_eq!([edge(8193), edge(-8192), edge(65_536), edge(-65_535)], [base + 3; 4]);
    assert_eq!([edge(65_537), edge(524_288), edge(-524_287)], [base + 4; 3]);
    assert_eq!([edge(524_289), edge(i64::MIN)], [base + 9; 2]);
}

#[test]
fn the_header_is_the_limit() {
    let mut open = OpenXor::new();
    for n in 0..u16::MAX {
        open.append(i64::from(n), 0.0).unwrap();
    }
    assert_eq!(open.append(0, 0.0), Err(ChunkError::Full));
    assert_eq!(open.count(), u16::MAX);
    assert_eq!(decode(open.bytes()).unwrap().len(), usize::from(u16::MAX));
}

#[test]
fn a_header_that_claims_too_much_reserves_no_more_than_the_bytes_can_hold() {
    let mut bytes = encode([(0, 1.0), (1, 2.0)]).unwrap();
    bytes[..2].copy_from_slice(&[0xff, 0xff]);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let error = decode_into(&bytes, &mut times, &mut values).unwrap_err();
    assert!(matches!(error, ChunkError::Truncated { claimed: 0xffff, .. }), "{error}");
    assert!(times.capacity() < 4 * bytes.len() + 8);
}

#[test]
fn an_open_chunk_is_small() {
    assert!(size_of::<OpenXor>() <= 56);
}
