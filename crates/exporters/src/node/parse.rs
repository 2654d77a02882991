//! Reading kernel text: fields, numbers, lists of CPUs. Pure functions over bytes; anything may be in them.

/// The lines of a text, without their ends; a last line that is empty is none.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = match memchr::memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some(line)
    })
}

/// The fields of a line, separated by any number of spaces and tabs.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|field| !field.is_empty())
}

/// A whole number in decimal. `None` when it is none, or too large.
pub(crate) fn integer(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A whole number that may be negative.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(text) => integer(text).and_then(|value| 0i64.checked_sub_unsigned(value)),
        None => integer(text).and_then(|value| i64::try_from(value).ok()),
    }
}

/// A whole number as /sys writes it: decimal, or hexadecimal behind `0x`.
pub(crate) fn attribute(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"0x") {
        Some(hex) => i64::from_str_radix(str(hex)?, 16).ok(),
        None => signed(text),
    }
}

/// A number as Go's `ParseFloat` takes it.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    str(text)?.parse().ok()
}

/// Text, if the bytes are UTF-8.
pub(crate) fn str(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// `1,3-5,9` → 1 3 4 5 9. An entry that can not be read ends the list. At most [`CPUS_MAX`].
pub(crate) fn cpu_list(text: &[u8]) -> Vec<u32> {
    let mut cpus = Vec::new();
    for entry in text.trim_ascii().split(|b| *b == b',') {
        let mut ends = entry.splitn(2, |b| *b == b'-').map(|end| integer(end).and_then(|cpu| u32::try_from(cpu).ok()));
        let Some(Some(first)) = ends.next() else { break };
        let Some(last) = ends.next().unwrap_or(Some(first)) else { break };
        cpus.extend((first..=last).take(CPUS_MAX.saturating_sub(cpus.len())));
    }
    cpus
}

/// Linux is built for at most 8192 CPUs.
pub(crate) const CPUS_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        assert_eq!(integer(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(integer(b"18446744073709551616"), None);
        assert_eq!((integer(b""), integer(b"1x"), integer(b"-1")), (None, None, None));
        assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!((signed(b"-1"), signed(b"--1"), signed(b"9223372036854775808")), (Some(-1), None, None));
        assert_eq!((attribute(b"0x1303"), attribute(b"-1"), attribute(b"0x")), (Some(4867), Some(-1), None));
    }

    #[test]
    fn texts() {
        assert_eq!(lines(b"a\n\nb").collect::<Vec<_>>(), [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"a\n").collect::<Vec<_>>(), [&b"a"[..]]);
        assert_eq!(fields(b"  a\tb  c ").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(cpu_list(b"1,3-5,9\n"), [1, 3, 4, 5, 9]);
        assert!(cpu_list(b"\n").is_empty());
        assert_eq!(cpu_list(b"0-4294967295").len(), CPUS_MAX);
        assert_eq!(cpu_list(b"1,x,2"), [1]);
    }

    proptest! {
        #[test]
        fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let joined: usize = lines(&text).map(<[u8]>::len).sum();
            prop_assert!(joined <= text.len());
            let _ = (cpu_list(&text), attribute(&text), float(&text), signed(&text));
        }
    }
}
