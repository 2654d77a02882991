//! Reading an index from its mapped bytes.
//!
//! Opening verifies sizes, the TOC, the symbols and the postings table (checksums, order, UTF-8) and keeps four bytes for each
//! symbol and each label pair. Series entries and postings lists are verified whenever they are read.
//! Nothing here panics or allocates more than the file's size, whatever the bytes are.

use super::{ChunkMeta, HEADER, MAGIC, SERIES_ALIGN, TOC_LEN, Toc, VERSION};
use crate::block::error::Damage;
use crate::block::section::{Cursor, check_crc, section};
use bytes::Bytes;
use model::Labels;
use std::borrow::Cow;
use std::ops::Range;

const SYMBOLS: &str = "symbols";
const TABLE: &str = "postings table";
const SERIES: &str = "series";
const POSTINGS: &str = "postings";

/// An index that can be asked.
#[derive(Debug)]
pub(crate) struct IndexReader {
    bytes: Bytes,
    toc: Toc,
    /// Where each symbol's length stands, counted from the section's begin.
    symbols: Vec<u32>,
    /// Label names, ascending, with their part of `pairs`.
    names: Vec<Name>,
    /// Where each pair's value stands in the postings table, counted from the table's begin.
    pairs: Vec<u32>,
    /// Where the list of all series begins.
    all: Option<u64>,
}

#[derive(Debug)]
struct Name {
    text: String,
    pairs: Range<usize>,
}

/// One series as it stands in the index; reused between reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesEntry {
    labels: Vec<(u32, u32)>,
    pub(crate) chunks: Vec<ChunkMeta>,
}

/// Series ids, ascending, as they lie in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postings<'a>(&'a [u8]);

impl<'a> Postings<'a> {
    pub(crate) fn len(&self) -> usize {
        self.0.len() / 4
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> + 'a {
        self.0.as_chunks::<4>().0.iter().map(|four| u32::from_be_bytes(*four))
    }
}

impl IndexReader {
    pub(crate) fn open(bytes: Bytes) -> Result<Self, Damage> {
        let toc = read_toc(&bytes)?;
        let symbols = read_symbols(&bytes, toc.symbols)?;
        let mut reader = IndexReader { bytes, toc, symbols, names: Vec::new(), pairs: Vec::new(), all: None };
        reader.read_table()?;
        Ok(reader)
    }

    /// Bytes on disk.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    /// The symbol with this number.
    pub(crate) fn symbol(&self, number: u32) -> Result<&str, Damage> {
        let base = self.toc.symbols as usize;
        let Some(offset) = self.symbols.get(number as usize) else {
            return Err(Damage::new(SYMBOLS, base, format!("there is no symbol {number} of {}", self.symbols.len())));
        };
        let at = base + *offset as usize;
        let text = Cursor::new(&self.bytes, at).text().ok_or_else(|| Damage::ends_early(SYMBOLS, at))?;
        std::str::from_utf8(text).map_err(|_| Damage::new(SYMBOLS, at, "a string is no UTF-8"))
    }

    /// Label names, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.text.as_str())
    }

    /// How many values a label has.
    pub(crate) fn value_count(&self, name: &str) -> usize {
        self.pairs_of(name).len()
    }

    /// The values of a label from `from` on, ascending, each with its list's place.
    pub(crate) fn values_from<'a>(
        &'a self,
        name: &str,
        from: &str,
    ) -> impl Iterator<Item = Result<(&'a str, u64), Damage>> + use<'a> {
        let pairs = self.pairs_of(name);
        let skipped = pairs.partition_point(|pair| self.pair(*pair).is_ok_and(|(value, _)| value < from));
        pairs[skipped..].iter().map(|pair| self.pair(*pair))
    }

    /// The values of a label, ascending, each with its list's place.
    pub(crate) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = Result<(&'a str, u64), Damage>> + use<'a> {
        self.values_from(name, "")
    }

    /// The series with this label pair.
    pub(crate) fn postings(&self, name: &str, value: &str) -> Result<Option<Postings<'_>>, Damage> {
        match self.values_from(name, value).next() {
            Some(Ok((found, at))) if found == value => self.postings_at(at).map(Some),
            Some(Err(damage)) => Err(damage),
            _ => Ok(None),
        }
    }

    /// All series.
    pub(crate) fn all_series(&self) -> Result<Option<Postings<'_>>, Damage> {
        self.all.map(|at| self.postings_at(at)).transpose()
    }

    /// All series, as bytes that keep the map alive: four each, big-endian.
    pub(crate) fn all_series_held(&self) -> Result<Bytes, Damage> {
        Ok(self.all_series()?.map(|ids| self.bytes.slice_ref(ids.0)).unwrap_or_default())
    }

    /// The list at a place that [`IndexReader::values`] gave.
    pub(crate) fn postings_at(&self, offset: u64) -> Result<Postings<'_>, Damage> {
        let body = section(&self.bytes, offset, POSTINGS)?;
        let mut cursor = Cursor::new(body, 0);
        let count = cursor.u32();
        match (count, cursor.take(cursor.remaining())) {
            (Some(count), Some(ids)) if ids.len() as u64 == u64::from(count) * 4 => Ok(Postings(ids)),
            _ => Err(Damage::new(POSTINGS, offset as usize, "count and length do not agree")),
        }
    }

    /// Reads a series into `entry`.
    pub(crate) fn series(&self, id: u32, entry: &mut SeriesEntry) -> Result<(), Damage> {
        let at = usize::try_from(u64::from(id) * SERIES_ALIGN).unwrap_or(usize::MAX);
        entry.labels.clear();
        entry.chunks.clear();
        let early = || Damage::ends_early(SERIES, at);
        let mut cursor = Cursor::new(&self.bytes, at);
        let len = cursor.uvarint().and_then(|len| usize::try_from(len).ok()).ok_or_else(early)?;
        let body = cursor.take(len).ok_or_else(early)?;
        let crc = cursor.u32().ok_or_else(early)?;
        check_crc(body, crc, SERIES, at)?;
        decode_series(body, entry).ok_or_else(|| Damage::new(SERIES, at, "the entry does not follow the format"))
    }

    /// The label set of a series that was read.
    pub(crate) fn labels(&self, entry: &SeriesEntry) -> Result<Labels, Damage> {
        let mut pairs = Vec::with_capacity(entry.labels.len());
        for (name, value) in &entry.labels {
            let pair = (self.symbol(*name)?, self.symbol(*value)?);
            if pairs.last().is_some_and(|(before, _)| *before >= pair.0) {
                return Err(Damage::new(SERIES, 0, format!("label {:?} comes out of order", pair.0)));
            }
            pairs.push(pair);
        }
        Ok(Labels::from_sorted(pairs))
    }

    /// One label's value of a series that was read, empty when it lacks it.
    pub(crate) fn label_value(&self, entry: &SeriesEntry, name: &str) -> Result<&str, Damage> {
        for (found, value) in &entry.labels {
            if self.symbol(*found)? == name {
                return self.symbol(*value);
            }
        }
        Ok("")
    }

    /// The label names of a series that was read.
    pub(crate) fn label_names_of<'a>(
        &'a self,
        entry: &'a SeriesEntry,
    ) -> impl Iterator<Item = Result<&'a str, Damage>> {
        entry.labels.iter().map(|(name, _)| self.symbol(*name))
    }

    fn pairs_of(&self, name: &str) -> &[u32] {
        match self.names.binary_search_by(|candidate| candidate.text.as_str().cmp(name)) {
            Ok(at) => &self.pairs[self.names[at].pairs.clone()],
            Err(_) => &[],
        }
    }

    /// Value and list's place of the pair whose value stands at `offset` of the table.
    fn pair(&self, offset: u32) -> Result<(&str, u64), Damage> {
        let at = self.toc.postings_table as usize + offset as usize;
        let mut cursor = Cursor::new(&self.bytes, at);
        let mut read = || Some((std::str::from_utf8(cursor.text()?).ok()?, cursor.uvarint()?));
        read().ok_or_else(|| Damage::ends_early(TABLE, at))
    }

    fn read_table(&mut self) -> Result<(), Damage> {
        let base = usize::try_from(self.toc.postings_table).unwrap_or(usize::MAX);
        let bytes = self.bytes.clone();
        let body = section(&bytes, self.toc.postings_table, TABLE)?;
        let mut cursor = Cursor::new(body, 0);
        let count = cursor.u32().ok_or_else(|| Damage::ends_early(TABLE, base))?;
        self.pairs.reserve_exact((count as usize).min(body.len() / 4));
        let mut last: Option<(&str, &str)> = None;
        for _ in 0..count {
            let at = base + 4 + cursor.position();
            let (name, value, value_at, list) =
                read_pair(&mut cursor).ok_or_else(|| Damage::new(TABLE, at, "an entry does not follow the format"))?;
            if last.is_some_and(|last| last >= (name, value)) {
                return Err(Damage::new(TABLE, at, format!("label pair {name:?}={value:?} comes out of order")));
            }
            last = Some((name, value));
            if name.is_empty() {
                self.all = self.all.or(value.is_empty().then_some(list));
                continue;
            }
            if self.names.last().is_none_or(|last| last.text != name) {
                let start = self.pairs.len();
                self.names.push(Name { text: name.to_owned(), pairs: start..start });
            }
            self.pairs.push(4 + value_at as u32);
            if let Some(name) = self.names.last_mut() {
                name.pairs.end = self.pairs.len();
            }
        }
        Ok(())
    }
}

fn read_pair<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a str, &'a str, usize, u64)> {
    if cursor.uvarint()? != 2 {
        return None;
    }
    let name = std::str::from_utf8(cursor.text()?).ok()?;
    let value_at = cursor.position();
    let value = std::str::from_utf8(cursor.text()?).ok()?;
    Some((name, value, value_at, cursor.uvarint()?))
}

fn read_toc(bytes: &[u8]) -> Result<Toc, Damage> {
    let part = "header";
    let mut header = Cursor::new(bytes, 0);
    let magic = header.u32().ok_or_else(|| Damage::ends_early(part, 0))?;
    if magic != MAGIC {
        return Err(Damage::new(part, 0, format!("the magic number is {magic:08x}, not {MAGIC:08x}")));
    }
    let version = header.take(1).ok_or_else(|| Damage::ends_early(part, 4))?[0];
    if version != VERSION {
        return Err(Damage::new(part, 4, format!("index version {version} is not read, only {VERSION}")));
    }
    let start = bytes
        .len()
        .checked_sub(TOC_LEN)
        .filter(|start| *start as u64 >= HEADER)
        .ok_or_else(|| Damage::ends_early("table of contents", 0))?;
    let crc = Cursor::new(bytes, start + TOC_LEN - 4).u32().unwrap_or_default();
    check_crc(&bytes[start..start + TOC_LEN - 4], crc, "table of contents", start)?;
    let mut cursor = Cursor::new(bytes, start);
    let mut next = || cursor.u64().ok_or_else(|| Damage::ends_early("table of contents", start));
    Ok(Toc {
        symbols: next()?,
        series: next()?,
        label_indices: next()?,
        label_table: next()?,
        postings: next()?,
        postings_table: next()?,
    })
}

fn read_symbols(bytes: &[u8], offset: u64) -> Result<Vec<u32>, Damage> {
    let body = section(bytes, offset, SYMBOLS)?;
    let base = offset as usize;
    let mut cursor = Cursor::new(body, 0);
    let count = cursor.u32().ok_or_else(|| Damage::ends_early(SYMBOLS, base))?;
    let mut offsets = Vec::with_capacity((count as usize).min(body.len()));
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let at = cursor.position() + 4;
        let text = cursor.text().ok_or_else(|| Damage::ends_early(SYMBOLS, base + at))?;
        if last.is_some_and(|last| last >= text) {
            let text = Cow::Owned(format!("string {:?} comes out of order", String::from_utf8_lossy(text)));
            return Err(Damage::new(SYMBOLS, base + at, text));
        }
        last = Some(text);
        offsets.push(at as u32);
    }
    Ok(offsets)
}

fn decode_series(body: &[u8], entry: &mut SeriesEntry) -> Option<()> {
    let mut cursor = Cursor::new(body, 0);
    for _ in 0..cursor.uvarint()? {
        let name = u32::try_from(cursor.uvarint()?).ok()?;
        let value = u32::try_from(cursor.uvarint()?).ok()?;
        entry.labels.push((name, value));
    }
    let mut before: Option<ChunkMeta> = None;
    for _ in 0..cursor.uvarint()? {
        let chunk = match before {
            None => {
                let first = cursor.varint()?;
                let last = first.checked_add_unsigned(cursor.uvarint()?)?;
                ChunkMeta { first, last, reference: cursor.uvarint()? }
            }
            Some(before) => {
                // an unsigned difference that wraps: blocks with overlapping chunks have "negative" ones
                let first = before.last.wrapping_add(cursor.uvarint()? as i64);
                let last = first.checked_add_unsigned(cursor.uvarint()?)?;
                ChunkMeta { first, last, reference: before.reference.wrapping_add_signed(cursor.varint()?) }
            }
        };
        entry.chunks.push(chunk);
        before = Some(chunk);
    }
    Some(())
}
