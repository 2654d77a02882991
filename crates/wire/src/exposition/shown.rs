//! Parts of a body in the words of an error: quoted, and never much of it. A value may be as long as the body.

use model::go_text::quote_bytes;

/// How many bytes of the body one part of an error shows.
pub const SHOWN_MAX: usize = 120;

/// The bytes quoted, cut after [`SHOWN_MAX`].
pub(crate) fn shown(bytes: &[u8]) -> String {
    if bytes.len() > SHOWN_MAX {
        return format!("{}...", quote_bytes(&bytes[..SHOWN_MAX]));
    }
    quote_bytes(bytes)
}
