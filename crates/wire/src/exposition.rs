//! The exposition formats: how a target says its metrics over HTTP.
//!
//! [`text`] reads text 0.0.4 without allocating per line, [`number`] its values, [`encode`] writes it.

pub mod encode;
pub mod number;
pub mod shown;
pub mod text;

/// The media type of text 0.0.4, as exporters answer it.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
