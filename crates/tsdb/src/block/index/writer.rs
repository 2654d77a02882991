//! Writing an index: symbols known beforehand, then series in label order, then what can be derived from them.
//!
//! Memory: symbols, four bytes a series (the list of all), 16 bytes a label pair (its table entry), and up to [`HELD_MAX`]
//! postings of eight bytes. A block with more postings than that is read back, label name by label name, as often as needed:
//! the peak does not depend on series × labels.

use super::{ChunkMeta, HEADER, MAGIC, SERIES_ALIGN, Symbols, TOC_LEN, Toc, VERSION};
use crate::block::error::BlockError;
use crate::block::file_writer::FileWriter;
use crate::block::section::{Crc, Cursor, crc32c, put_text, put_uvarint, put_varint, uvarint_len};
use hashbrown::HashMap;
use model::Labels;
use runtime::disk::{Disk, DiskError};
use std::path::Path;

/// Postings held in memory at once: 8 Mi entries are 64 MiB.
pub(crate) const HELD_MAX: usize = 8 << 20;
/// Bytes read back at once.
const WINDOW: u64 = 1 << 20;

/// A posting of one label name: symbol of the value, series id.
type Posting = (u32, u32);

/// Where the list of one label pair begins.
struct TableEntry {
    name: u32,
    value: u32,
    offset: u64,
}

/// Writes the index of one block.
pub(crate) struct IndexWriter {
    file: FileWriter,
    symbols: Symbols,
    toc: Toc,
    series: Vec<u32>,
    last: Option<Labels>,
    /// Postings by label name: how many, and themselves while all of them fit.
    counts: HashMap<u32, usize>,
    held: Option<HashMap<u32, Vec<Posting>>>,
    held_count: usize,
    held_max: usize,
    body: Vec<u8>,
    scratch: Vec<u8>,
}

impl IndexWriter {
    /// Begins the file and writes the symbols: every name and value of the series to come, more does not harm.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, symbols: Symbols, held_max: usize) -> Result<Self, BlockError> {
        let mut file = FileWriter::create(disk, path)?;
        file.write(&MAGIC.to_be_bytes())?;
        file.write(&[VERSION])?;
        write_symbols(&mut file, &symbols)?;
        let toc = Toc { symbols: HEADER, series: file.position(), ..Toc::default() };
        Ok(IndexWriter {
            file,
            symbols,
            toc,
            series: Vec::new(),
            last: None,
            counts: HashMap::new(),
            held: Some(HashMap::new()),
            held_count: 0,
            held_max,
            body: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Writes the next series.
    pub(crate) fn add(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), BlockError> {
        if self.last.as_ref().is_some_and(|last| last >= labels) {
            return Err(BlockError::Misuse(format!("series {labels} does not come in label order")));
        }
        self.file.pad_to(SERIES_ALIGN)?;
        let id = u32::try_from(self.file.position() / SERIES_ALIGN)
            .map_err(|_| BlockError::TooLarge { what: "the index", limit: "64 GiB" })?;
        self.body.clear();
        put_uvarint(&mut self.body, labels.len() as u64);
        for (name, value) in labels.iter() {
            let name = self.number_of(name)?;
            let value = self.number_of(value)?;
            put_uvarint(&mut self.body, u64::from(name));
            put_uvarint(&mut self.body, u64::from(value));
            *self.counts.entry(name).or_default() += 1;
            self.held_count += 1;
            if let Some(held) = &mut self.held {
                held.entry(name).or_default().push((value, id));
            }
        }
        if self.held_count > self.held_max {
            self.held = None;
        }
        put_chunks(&mut self.body, chunks);
        self.scratch.clear();
        put_uvarint(&mut self.scratch, self.body.len() as u64);
        self.file.write(&self.scratch)?;
        self.file.write(&self.body)?;
        self.file.write(&crc32c(&self.body).to_be_bytes())?;
        self.series.push(id);
        self.last = Some(labels.clone());
        Ok(())
    }

    /// Writes lists, table and TOC, and syncs; says how long the file is.
    pub(crate) fn finish(mut self) -> Result<u64, BlockError> {
        let series_end = self.file.position();
        self.toc.postings = series_end; // the padding counts as theirs, in the original too
        self.toc.label_indices = series_end;
        self.file.pad_to(4)?;
        let mut table = vec![TableEntry { name: 0, value: 0, offset: self.file.position() }];
        let series = std::mem::take(&mut self.series);
        self.write_list(series.iter().copied(), series.len())?;
        let mut names: Vec<u32> = self.counts.keys().copied().collect();
        names.sort_unstable(); // symbols are in order, so their numbers are
        match self.held.take() {
            Some(mut held) => {
                for name in names {
                    self.write_lists_of(name, held.remove(&name).unwrap_or_default(), &mut table)?;
                }
            }
            None => self.write_lists_read_back(&names, &series, series_end, &mut table)?,
        }
        self.toc.postings_table = self.file.position();
        self.toc.label_table = self.toc.postings_table;
        self.write_table(&table)?;
        self.write_toc()?;
        Ok(self.file.finish()?)
    }

    fn number_of(&self, text: &str) -> Result<u32, BlockError> {
        self.symbols.number(text).ok_or_else(|| BlockError::Misuse(format!("{text:?} is not among the symbols")))
    }

    fn write_list(&mut self, ids: impl Iterator<Item = u32>, count: usize) -> Result<(), BlockError> {
        let len = u32::try_from(4 + 4 * count as u64)
            .map_err(|_| BlockError::TooLarge { what: "a postings list", limit: "4 GiB" })?;
        self.file.write(&len.to_be_bytes())?;
        self.body.clear();
        self.body.extend_from_slice(&(count as u32).to_be_bytes());
        for id in ids {
            self.body.extend_from_slice(&id.to_be_bytes());
        }
        self.file.write(&self.body)?;
        self.file.write(&crc32c(&self.body).to_be_bytes())?;
        Ok(())
    }

    /// The lists of all values of one name.
    fn write_lists_of(
        &mut self,
        name: u32,
        mut postings: Vec<Posting>,
        table: &mut Vec<TableEntry>,
    ) -> Result<(), BlockError> {
        postings.sort_unstable();
        for list in postings.chunk_by(|a, b| a.0 == b.0) {
            self.file.pad_to(4)?;
            table.push(TableEntry { name, value: list[0].0, offset: self.file.position() });
            self.write_list(list.iter().map(|posting| posting.1), list.len())?;
        }
        Ok(())
    }

    /// The same from the series as they stand in the file, as many names at once as fit.
    fn write_lists_read_back(
        &mut self,
        names: &[u32],
        series: &[u32],
        series_end: u64,
        table: &mut Vec<TableEntry>,
    ) -> Result<(), BlockError> {
        let mut rest = names;
        while !rest.is_empty() {
            let mut sum = 0;
            let fitting = rest.iter().take_while(|name| {
                sum += self.counts.get(*name).copied().unwrap_or(0);
                sum <= self.held_max.max(series.len())
            });
            // one name alone has at most one posting a series
            let (batch, later) = rest.split_at(fitting.count().max(1));
            let mut postings: HashMap<u32, Vec<Posting>> = batch.iter().map(|name| (*name, Vec::new())).collect();
            self.file.flush()?;
            self.read_back(series, series_end, &mut postings)?;
            for name in batch {
                self.write_lists_of(*name, postings.remove(name).unwrap_or_default(), table)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Goes through the series written and gathers the postings of the names asked for.
    fn read_back(
        &self,
        series: &[u32],
        series_end: u64,
        postings: &mut HashMap<u32, Vec<Posting>>,
    ) -> Result<(), BlockError> {
        let mut window = Vec::new();
        let mut window_start = 0;
        for (at, id) in series.iter().enumerate() {
            let start = u64::from(*id) * SERIES_ALIGN;
            let end = series.get(at + 1).map_or(series_end, |next| u64::from(*next) * SERIES_ALIGN);
            if end > window_start + window.len() as u64 {
                window_start = start;
                window.resize((end - start).max(WINDOW.min(series_end - start)) as usize, 0);
                self.file.read_back(&mut window, start)?;
            }
            let entry = Cursor::new(&window, (start - window_start) as usize);
            gather(entry, *id, postings)
                .ok_or_else(|| BlockError::Misuse(format!("series {id} reads back otherwise than written")))?;
        }
        Ok(())
    }

    fn write_table(&mut self, table: &[TableEntry]) -> Result<(), BlockError> {
        let symbols = &self.symbols;
        let text_len = |number: u32| {
            let len = symbols.get(number).len();
            uvarint_len(len as u64) + len
        };
        let entries: u64 =
            table.iter().map(|e| (1 + text_len(e.name) + text_len(e.value) + uvarint_len(e.offset)) as u64).sum();
        let len = u32::try_from(4 + entries)
            .map_err(|_| BlockError::TooLarge { what: "the postings table", limit: "4 GiB" })?;
        self.file.write(&len.to_be_bytes())?;
        let mut crc = Crc::new();
        self.scratch.clear();
        self.scratch.extend_from_slice(&(table.len() as u32).to_be_bytes());
        for entry in table {
            self.scratch.push(2);
            put_text(&mut self.scratch, symbols.get(entry.name));
            put_text(&mut self.scratch, symbols.get(entry.value));
            put_uvarint(&mut self.scratch, entry.offset);
            if self.scratch.len() >= WINDOW as usize {
                crc.update(&self.scratch);
                self.file.write(&self.scratch)?;
                self.scratch.clear();
            }
        }
        crc.update(&self.scratch);
        self.file.write(&self.scratch)?;
        self.file.write(&crc.finish().to_be_bytes())?;
        Ok(())
    }

    fn write_toc(&mut self) -> Result<(), DiskError> {
        let toc = &self.toc;
        let mut bytes = Vec::with_capacity(TOC_LEN);
        for offset in [toc.symbols, toc.series, toc.label_indices, toc.label_table, toc.postings, toc.postings_table] {
            bytes.extend_from_slice(&offset.to_be_bytes());
        }
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        self.file.write(&bytes)
    }
}

fn write_symbols(file: &mut FileWriter, symbols: &Symbols) -> Result<(), BlockError> {
    let strings: u64 = symbols.iter().map(|text| (uvarint_len(text.len() as u64) + text.len()) as u64).sum();
    let len =
        u32::try_from(4 + strings).map_err(|_| BlockError::TooLarge { what: "the symbol table", limit: "4 GiB" })?;
    file.write(&len.to_be_bytes())?;
    let mut crc = Crc::new();
    let mut gathered = (symbols.count() as u32).to_be_bytes().to_vec();
    for text in symbols.iter() {
        put_text(&mut gathered, text);
        if gathered.len() >= WINDOW as usize {
            crc.update(&gathered);
            file.write(&gathered)?;
            gathered.clear();
        }
    }
    crc.update(&gathered);
    file.write(&gathered)?;
    file.write(&crc.finish().to_be_bytes())?;
    Ok(())
}

fn put_chunks(body: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(body, chunks.len() as u64);
    let mut previous: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match previous {
            None => {
                put_varint(body, chunk.first);
                put_uvarint(body, chunk.last.wrapping_sub(chunk.first) as u64);
                put_uvarint(body, chunk.reference);
            }
            Some(before) => {
                put_uvarint(body, chunk.first.wrapping_sub(before.last) as u64);
                put_uvarint(body, chunk.last.wrapping_sub(chunk.first) as u64);
                put_varint(body, chunk.reference.wrapping_sub(before.reference) as i64);
            }
        }
        previous = Some(chunk);
    }
}

fn gather(mut entry: Cursor<'_>, id: u32, postings: &mut HashMap<u32, Vec<Posting>>) -> Option<()> {
    entry.uvarint()?;
    for _ in 0..entry.uvarint()? {
        let name = u32::try_from(entry.uvarint()?).ok()?;
        let value = u32::try_from(entry.uvarint()?).ok()?;
        if let Some(list) = postings.get_mut(&name) {
            list.push((value, id));
        }
    }
    Some(())
}
