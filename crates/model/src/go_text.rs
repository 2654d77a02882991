//! Text as Go writes it: quoted strings and floats. The APIs and formats of the originals show both.

/// `strconv.Quote`.
pub fn quote(text: &str) -> String {
    format!("{text:?}")
}
