//! Bodies of scrapes.

use model::LabelsBuilder;
use wire::exposition::shown::SHOWN_MAX;
use wire::exposition::text::{Entry, TextParser, read_labels};

/// Every line is an entry or the end; a line recognised from the last visit reads as the line itself does.
pub(super) fn run(body: &[u8]) {
    let mut parser = TextParser::new(body);
    let mut lines: Vec<(&[u8], u64, Option<i64>)> = Vec::new();
    let mut error = None;
    while let Some(entry) = parser.next() {
        match entry {
            Ok(Entry::Series { series, value, at }) => {
                let mut labels = LabelsBuilder::new();
                let _ = read_labels(series, parser.kind(), &mut labels);
                lines.push((series, value.to_bits(), at));
            }
            Ok(_) => {}
            Err(found) => {
                // parts of the body are shown up to three times, a byte as up to four characters (`\xff`)
                assert!(found.message.len() <= 2 * 4 * SHOWN_MAX + 200, "{}", found.message);
                error = Some(found);
                break;
            }
        }
    }
    again(body, &lines, error.is_some());
}

/// Reads the body once more the short way.
fn again(body: &[u8], lines: &[(&[u8], u64, Option<i64>)], fails: bool) {
    let mut parser = TextParser::new(body);
    let mut at = 0;
    loop {
        if let Some((series, value, time)) = lines.get(at)
            && let Some(read) = parser.known(series.len(), |bytes| bytes == *series)
        {
            // the line that is damaged may begin like a known one
            let Ok(read) = read else { return assert!(fails) };
            if (read.0.to_bits(), read.1) == (*value, *time) {
                at += 1;
                continue;
            }
            panic!("{}: {read:?}", String::from_utf8_lossy(series));
        }
        match parser.next() {
            Some(Ok(Entry::Series { series, value, at: time })) => {
                assert_eq!(lines.get(at), Some(&(series, value.to_bits(), time)));
                at += 1;
            }
            Some(Ok(_)) => {}
            Some(Err(_)) => return assert!(fails),
            None => return assert!(!fails && at == lines.len()),
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        "# HELP a_total Some \\\\ text\\n.\n# TYPE a_total counter\na_total{code=\"200\",path=\"/\\\"x\\\\\"} 1027 1395066363000\na_total 3\n",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 0.5\nh_count 2\n# a comment\n\n",
        "{\"a.name\",\"b.c\"=\"d\"} NaN\nup -Inf\nx 0x1p-3\ny 1e400\nz\t12 -5\r\n",
        "a{b=\"c\" d=\"e\",} 1\n<html>\n",
    ])
}
