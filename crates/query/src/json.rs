//! The JSON of answers, written straight into bytes.
//!
//! Two kinds of strings, as in the original: labels of series as they are, everything else safe inside HTML.
//! Times of samples show either no fraction or three digits; a scalar's time is an ordinary JSON number.
//! Cost: about 25 ns a sample (`model::go_text`), nothing allocated.

use model::go_text::{FloatStyle, append_float};
use model::{Labels, Timestamp};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A string as labels are written.
pub(crate) fn append_string(out: &mut Vec<u8>, text: &str) {
    append_escaped(out, text, false);
}

/// A string in which `<`, `>`, `&` and the two line separators of Unicode are escaped too.
pub(crate) fn append_html_safe(out: &mut Vec<u8>, text: &str) {
    append_escaped(out, text, true);
}

fn append_escaped(out: &mut Vec<u8>, text: &str, html: bool) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            b'<' | b'>' | b'&' if html => b"",
            // U+2028 and U+2029 are e2 80 a8 and e2 80 a9
            0xe2 if html && bytes[at..].starts_with(b"\xe2\x80") && matches!(bytes.get(at + 2), Some(0xa8 | 0xa9)) => {
                b""
            }
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        if !short.is_empty() {
            out.extend_from_slice(short);
        } else if *byte == 0xe2 {
            out.extend_from_slice(if bytes[at + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
            copied = at + 3;
        } else {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// `["a","b"]`
pub(crate) fn append_strings<'a>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = &'a str>) {
    out.push(b'[');
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        append_html_safe(out, text);
    }
    out.push(b']');
}

/// `{"__name__":"up","job":"a"}`
pub(crate) fn append_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        append_string(out, name);
        out.push(b':');
        append_string(out, value);
    }
    out.push(b'}');
}

/// A sample's time: `1700060434.500`, `1700060434`.
pub(crate) fn append_time(out: &mut Vec<u8>, at: Timestamp) {
    let millis = at.millis().unsigned_abs();
    if at.millis() < 0 {
        out.push(b'-');
    }
    append_integer(out, millis / 1000);
    let fraction = millis % 1000;
    if fraction > 0 {
        out.push(b'.');
        out.extend([fraction / 100, fraction / 10 % 10, fraction % 10].map(|digit| b'0' + digit as u8));
    }
}

pub(crate) fn append_integer(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `[1700060434.500,"4496"]`
pub(crate) fn append_sample(out: &mut Vec<u8>, at: Timestamp, value: f64) {
    out.push(b'[');
    append_time(out, at);
    out.extend_from_slice(b",\"");
    append_float(out, value, FloatStyle::Json);
    out.extend_from_slice(b"\"]");
}

/// A JSON number, as Go writes floats.
pub(crate) fn append_number(out: &mut Vec<u8>, value: f64) {
    append_float(out, value, FloatStyle::Json);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn strings_are_escaped_as_the_original_does() {
        let text = "<&>é\u{2028}\u{1}\"\\\n\r\t\u{7f}/";
        assert_eq!(written(|out| append_string(out, text)), "\"<&>é\u{2028}\\u0001\\\"\\\\\\n\\r\\t\u{7f}/\"");
        assert_eq!(
            written(|out| append_html_safe(out, text)),
            "\"\\u003c\\u0026\\u003eé\\u2028\\u0001\\\"\\\\\\n\\r\\t\u{7f}/\""
        );
    }

    #[test]
    fn times_have_no_fraction_or_three_digits() {
        for (millis, text) in [
            (0, "0"),
            (4000, "4"),
            (1_700_060_434_500, "1700060434.500"),
            (7, "0.007"),
            (-1500, "-1.500"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(written(|out| append_time(out, Timestamp(millis))), text);
        }
    }

    #[test]
    fn samples_and_labels() {
        assert_eq!(written(|out| append_sample(out, Timestamp(1500), 1e-7)), "[1.500,\"1e-07\"]");
        assert_eq!(written(|out| append_sample(out, Timestamp(1000), f64::NAN)), "[1,\"NaN\"]");
        let labels = Labels::from_pairs([("b", "<"), ("a", "1")]);
        assert_eq!(written(|out| append_labels(out, &labels)), r#"{"a":"1","b":"<"}"#);
        assert_eq!(written(|out| append_strings(out, ["<", "b"])), r#"["\u003c","b"]"#);
    }

    proptest::proptest! {
        #[test]
        fn every_string_reads_back(text: String) {
            for json in [written(|out| append_string(out, &text)), written(|out| append_html_safe(out, &text))] {
                assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
            }
        }
    }
}
