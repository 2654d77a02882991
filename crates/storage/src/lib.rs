//! The waist: what every producer and every reader of samples sees of every store. Decided in `docs/decisions/0001`.
//!
//! ```text
//! scrape ─┐                         ┌─ promql
//! relay ──┼─► Append ─ store ─ Select ◄─┼─ query
//! rules ──┘                         └─ global
//! ```
//!
//! Reading order: [`tenant`] → [`append`] → [`piece`] → [`select`] → [`context`] → [`ability`] → [`merge`].
//! What this crate must not know: how a store keeps samples, any query language, any wire format.

pub mod ability;
pub mod append;
pub mod context;
pub mod merge;
pub mod piece;
pub mod select;
pub mod tenant;

pub use ability::{Abilities, Ability};
pub use append::{
    Append, AppendError, Appender, CommitError, Committed, Durability, LaneKey, Refusal, Refusals, Row, SeriesRef,
};
pub use context::{Budget, QueryContext, Warnings};
pub use merge::Merged;
pub use piece::{ChunkPiece, ColumnsPiece, HistogramsPiece, Piece};
pub use select::{
    CUT, ExemplarQuery, Hints, LabelQuery, Select, SelectError, Selection, SeriesBatch, SeriesExemplars, SeriesPieces,
    SeriesStream, collect,
};
pub use tenant::Tenant;
