//! Rendering: metrics straight into the answer's bytes, in text format 0.0.4, with numbers as Go prints them.
//!
//! ```text
//! page.begin(&LOAD1)            remembers the family; its header is written before its first sample
//! page.sample(&[("cpu", "0")])  node_cpu_seconds_total{cpu="0"
//!     .integer(7)               } 7
//! ```
//!
//! Invariants: a family without samples leaves no trace; label values are escaped; the output is UTF-8.
//! Cost: about 30 ns a sample with one label; nothing is allocated once the buffer has grown.
//! Source: Prometheus exposition formats, text 0.0.4; Go's `strconv.AppendFloat(…, 'g', -1, 64)`.

use model::go_text::{FloatStyle, append_float};

/// A metric family whose name is known at compile time; see [`family!`].
#[derive(Debug)]
pub(crate) struct Family {
    /// The metric's name.
    pub(crate) name: &'static str,
    /// The `# HELP` and `# TYPE` lines.
    pub(crate) header: &'static str,
}

/// Makes a [`Family`] from name, type and help.
macro_rules! family {
    ($name:expr, $kind:literal, $help:expr) => {
        $crate::node::text::Family {
            name: $name,
            header: concat!("# HELP ", $name, " ", $help, "\n# TYPE ", $name, " ", $kind, "\n"),
        }
    };
}
pub(crate) use family;

/// The answer being written.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    out: &'a mut Vec<u8>,
    family: &'static Family,
    begun: bool,
}

const NONE: Family = Family { name: "", header: "" };

impl<'a> Page<'a> {
    /// Writes behind what `out` already holds.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Page { out, family: &NONE, begun: true }
    }

    /// The following samples belong to `family`.
    pub(crate) fn begin(&mut self, family: &'static Family) {
        self.family = family;
        self.begun = false;
    }

    /// A family whose name is known only now. `prepared` is what [`prepare`] made: header, name and a space.
    pub(crate) fn prepared(&mut self, prepared: &str) -> Value<'_> {
        self.out.extend_from_slice(prepared.as_bytes());
        Value { out: self.out }
    }

    /// Whole lines that were rendered before.
    pub(crate) fn lines(&mut self, lines: &[u8]) {
        self.out.extend_from_slice(lines);
    }

    /// Whether `text` is already somewhere on the page.
    pub(crate) fn has_line(&self, text: &str) -> bool {
        memchr::memmem::find(self.out, text.as_bytes()).is_some()
    }

    /// A sample of the current family with these labels; its value must follow.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)]) -> Value<'_> {
        if !self.begun {
            self.out.extend_from_slice(self.family.header.as_bytes());
            self.begun = true;
        }
        self.out.extend_from_slice(self.family.name.as_bytes());
        push_labels(self.out, labels);
        self.out.push(b' ');
        Value { out: self.out }
    }

    /// A family with a single sample without labels.
    pub(crate) fn single(&mut self, family: &'static Family) -> Value<'_> {
        self.begin(family);
        self.sample(&[])
    }
}

/// Where a sample's value goes.
#[must_use = "a sample without a value breaks the page"]
pub(crate) struct Value<'a> {
    out: &'a mut Vec<u8>,
}

impl Value<'_> {
    /// A whole number.
    pub(crate) fn integer(self, value: u64) {
        push_integer(self.out, value);
        self.out.push(b'\n');
    }

    /// A whole number that may be negative.
    pub(crate) fn signed(self, value: i64) {
        if value < 0 {
            self.out.push(b'-');
        }
        push_integer(self.out, value.unsigned_abs());
        self.out.push(b'\n');
    }

    /// `hundredths` / 100, exactly as that quotient would be printed: without a float as long as it has 15 digits.
    pub(crate) fn hundredths(self, hundredths: u64) {
        if hundredths >= EXACT_HUNDREDTHS || hundredths.is_multiple_of(100) {
            return self.number(hundredths as f64 / 100.0);
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(hundredths);
        push_decimal(self.out, digits.trim_end_matches('0'), digits.len() as i32 - 3);
        self.out.push(b'\n');
    }

    /// Any number.
    pub(crate) fn number(self, value: f64) {
        push_number(self.out, value);
        self.out.push(b'\n');
    }
}

/// Below this a number of hundredths has at most 15 digits, so that its decimal form is the shortest that reads back.
const EXACT_HUNDREDTHS: u64 = 1_000_000_000_000_000;

/// Below this every whole number is a float of its own.
const EXACT_INTEGER: u64 = 1 << 53;

/// Header, name and a space of a family that has one sample without labels.
pub(crate) fn prepare(name: &str, kind: &str, help: &str) -> Box<str> {
    format!("# HELP {name} {}\n# TYPE {name} {kind}\n{name} ", escape_help(help)).into()
}

/// Help text with backslash and line feed escaped.
pub(crate) fn escape_help(help: &str) -> String {
    help.replace('\\', "\\\\").replace('\n', "\\n")
}

/// `{a="b",c="d"}`, or nothing.
pub(crate) fn push_labels(out: &mut Vec<u8>, labels: &[(&str, &str)]) {
    for (at, (name, value)) in labels.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        push_escaped(out, value.as_bytes());
        out.push(b'"');
    }
    if !labels.is_empty() {
        out.push(b'}');
    }
}

fn push_escaped(out: &mut Vec<u8>, mut value: &[u8]) {
    while let Some(at) = memchr::memchr3(b'\\', b'"', b'\n', value) {
        out.extend_from_slice(&value[..at]);
        out.push(b'\\');
        out.push(if value[at] == b'\n' { b'n' } else { value[at] });
        value = &value[at + 1..];
    }
    out.extend_from_slice(value);
}

fn push_integer(out: &mut Vec<u8>, value: u64) {
    if value >= EXACT_INTEGER {
        return push_number(out, value as f64);
    }
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(value);
    if digits.len() <= 6 {
        return out.extend_from_slice(digits.as_bytes());
    }
    push_decimal(out, digits.trim_end_matches('0'), digits.len() as i32 - 1);
}

/// A float as Go's exposition code prints it.
pub(crate) fn push_number(out: &mut Vec<u8>, value: f64) {
    append_float(out, value, FloatStyle::General);
}

/// `digits` (no zero at either end) as d.ddd × 10^exponent, in the form Go chooses for exponents from -2 on: those up to 5
/// are written out.
fn push_decimal(out: &mut Vec<u8>, digits: &str, exponent: i32) {
    let digits = digits.as_bytes();
    let (head, tail) = match exponent {
        ..0 => {
            out.extend_from_slice(if exponent == -1 { b"0." } else { b"0.0" });
            return out.extend_from_slice(digits);
        }
        0..6 => digits.split_at(digits.len().min(exponent as usize + 1)),
        _ => digits.split_at(1),
    };
    out.extend_from_slice(head);
    if !tail.is_empty() {
        out.push(b'.');
        out.extend_from_slice(tail);
    }
    if exponent >= 6 {
        out.extend_from_slice(if exponent < 10 { b"e+0" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: Family = family!("node_one", "gauge", "One.");
    const TWO: Family = family!("node_two_total", "counter", "Two.");

    fn number(value: f64) -> String {
        let mut out = Vec::new();
        push_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_as_go_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.21, "0.21"),
            (126_552.0, "126552"),
            (999_999.5, "999999.5"),
            (1_631_329.0, "1.631329e+06"),
            (1e6, "1e+06"),
            (1.007_000_000_000_000_1, "1.0070000000000001"),
            (0.0001, "0.0001"),
            (0.000_043_132, "4.3132e-05"),
            (1.844_674_407_370_955_2e19, "1.8446744073709552e+19"),
            (214.850_810_447_001_46, "214.85081044700146"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn families_without_samples_leave_no_trace() {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out);
        page.begin(&ONE);
        page.begin(&TWO);
        page.sample(&[("a", "x\"y\\z\n"), ("b", "")]).integer(1_234_567);
        page.sample(&[]).signed(-5);
        page.prepared(&prepare("node_three", "untyped", "a\nb")).hundredths(1_087_069);
        let expected = "# HELP node_two_total Two.\n# TYPE node_two_total counter\n\
            node_two_total{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.234567e+06\nnode_two_total -5\n\
            # HELP node_three a\\nb\n# TYPE node_three untyped\nnode_three 10870.69\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bits in any::<u64>(), whole in any::<u64>(), ticks in 0u64..1 << 60) {
            let value = f64::from_bits(bits);
            let read: f64 = number(value).parse().unwrap();
            prop_assert!(read.to_bits() == value.to_bits() || value.is_nan());
            let mut out = Vec::new();
            Value { out: &mut out }.integer(whole);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number(whole as f64) + "\n");
            for ticks in [ticks, ticks >> 20, ticks >> 40] {
                let mut out = Vec::new();
                Value { out: &mut out }.hundredths(ticks);
                prop_assert_eq!(String::from_utf8(out).unwrap(), number(ticks as f64 / 100.0) + "\n");
            }
        }
    }
}
