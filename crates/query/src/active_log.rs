//! `queries.active`: which queries ran when the process died.
//!
//! ```text
//! [ {"query":"up","timestamp_sec":1700000000},…zeros | slot 1 | … | slot n-1      slots of 1000 bytes, zeros = free
//! ```
//!
//! Written into the page cache only (one `pwrite` of a page before and after each query): it survives the process, not the
//! machine. At the next start what is left is logged once. The form is the original's.

use parking_lot::Mutex;
use runtime::disk::{Disk, DiskError, DiskFile, OpenMode};
use std::path::Path;
use std::sync::Arc;

/// Bytes of one slot.
const SLOT: usize = 1000;

/// The log; clones share it.
#[derive(Clone, Debug)]
pub struct ActiveLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Box<dyn DiskFile>,
    free: Mutex<Vec<usize>>,
}

impl ActiveLog {
    /// Opens the log of at most `slots` queries in `folder`, and answers the queries that the last run left in it.
    pub fn open(disk: &dyn Disk, folder: &Path, slots: usize) -> Result<(Self, Vec<String>), DiskError> {
        let path = folder.join("queries.active");
        let mut before = Vec::new();
        if disk.exists(&path)? {
            disk.read_into(&path, &mut before)?;
        }
        let left = unfinished(&before);
        let file = disk.open(&path, OpenMode::Create)?;
        file.set_len((1 + slots * SLOT) as u64)?;
        file.write_at(b"[", 0)?;
        Ok((ActiveLog(Arc::new(Inner { file, free: Mutex::new((0..slots).rev().collect()) })), left))
    }

    /// Enters a query until the result is dropped. A full log or a failing disk enters nothing: the log is a help, not
    /// a condition.
    pub(crate) fn enter(&self, query: &str, now_s: i64) -> Option<ActiveQuery> {
        let slot = self.0.free.lock().pop()?;
        let entry = ActiveQuery { log: self.clone(), slot };
        // dropped on failure: the slot is free again
        self.0.file.write_at(&slot_bytes(query, now_s), entry.offset()).ok()?;
        Some(entry)
    }
}

/// A query in the log.
pub(crate) struct ActiveQuery {
    log: ActiveLog,
    slot: usize,
}

impl ActiveQuery {
    fn offset(&self) -> u64 {
        (1 + self.slot * SLOT) as u64
    }
}

impl Drop for ActiveQuery {
    fn drop(&mut self) {
        // a failure leaves a finished query in the log: harmless
        let _ = self.log.0.file.write_at(&[0; SLOT], self.offset());
        self.log.0.free.lock().push(self.slot);
    }
}

/// The JSON of one slot, the query cut so that it fits, zeros behind.
fn slot_bytes(query: &str, now_s: i64) -> Vec<u8> {
    let mut shown = query;
    loop {
        let mut bytes = b"{\"query\":".to_vec();
        crate::json::append_html_safe(&mut bytes, shown);
        bytes.extend_from_slice(format!(",\"timestamp_sec\":{now_s}}},").as_bytes());
        if bytes.len() <= SLOT {
            bytes.resize(SLOT, 0);
            return bytes;
        }
        // one byte of the query is at most six bytes of JSON
        let excess = (bytes.len() - SLOT).div_ceil(6);
        let mut cut = if shown.len() > SLOT { SLOT } else { shown.len().saturating_sub(excess) };
        while !shown.is_char_boundary(cut) {
            cut -= 1;
        }
        shown = &shown[..cut];
    }
}

fn unfinished(file: &[u8]) -> Vec<String> {
    let slots = file.get(1..).unwrap_or_default().chunks(SLOT);
    let texts = slots.map(|slot| slot.split(|b| *b == 0).next().unwrap_or_default());
    let texts = texts.map(|text| String::from_utf8_lossy(text).trim_end_matches(',').to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::disk::RealDisk;

    #[test]
    fn what_did_not_finish_is_told_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, left) = ActiveLog::open(&RealDisk, folder.path(), 2).expect("opened");
        assert!(left.is_empty());
        let done = log.enter("up", 1).expect("a slot");
        let dying = log.enter("sum(\"<x>\")", 1_700_000_000).expect("a slot");
        assert!(log.enter("third", 2).is_none());
        drop(done);
        let third = log.enter("third", 3).expect("a slot again");
        drop(third);
        std::mem::forget(dying);
        let (_, left) = ActiveLog::open(&RealDisk, folder.path(), 2).expect("opened");
        assert_eq!(left, [r#"{"query":"sum(\"\u003cx\u003e\")","timestamp_sec":1700000000}"#]);
        let (_, left) = ActiveLog::open(&RealDisk, folder.path(), 3).expect("opened");
        assert!(left.is_empty());
    }

    #[test]
    fn long_queries_are_cut_to_fit() {
        for query in ["x".repeat(5000), "<".repeat(5000), "ä".repeat(500), "\u{2028}".repeat(400)] {
            let bytes = slot_bytes(&query, 1_700_000_000);
            assert_eq!(bytes.len(), SLOT);
            let text = unfinished(&[b"[".as_slice(), &bytes].concat()).concat();
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let kept = value["query"].as_str().expect("a text");
            assert!(query.starts_with(kept) && kept.len() > 100, "{} bytes kept", kept.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_files_are_read_without_panic(bytes: Vec<u8>) {
            unfinished(&bytes);
        }
    }
}
