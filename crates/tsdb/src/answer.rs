//! What head and blocks have in common when they answer a selection: one tenant, limits of label lists, deleted samples.

use crate::block::Interval;
use std::collections::BTreeSet;
use storage::{Ability, ChunkPiece, ColumnsPiece, Piece, SelectError, Tenant};

/// Refuses tenants other than the default one.
pub(crate) fn only_tenant(tenant: Tenant) -> Result<(), SelectError> {
    if tenant == Tenant::DEFAULT { Ok(()) } else { Err(SelectError::Unsupported(Ability::Tenants)) }
}

/// Keeps the first `limit` of a list; 0 keeps all.
pub(crate) fn cut(set: &mut BTreeSet<String>, limit: usize) {
    while limit > 0 && set.len() > limit {
        set.pop_last();
    }
}

/// The samples of a chunk that were not deleted, `None` when none is left.
///
/// # Errors
/// Why the chunk can not be read.
pub(crate) fn without_deleted(piece: &ChunkPiece, deleted: &[Interval]) -> Result<Option<Piece>, chunk::ChunkError> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    chunk::decode_into(piece.encoding, &piece.bytes, &mut times, &mut values)?;
    let kept = times.iter().zip(&values).filter(|(at, _)| !deleted.iter().any(|i| i.contains(**at)));
    let (times, values): (Vec<i64>, Vec<f64>) = kept.map(|(at, value)| (*at, *value)).unzip();
    if times.is_empty() {
        return Ok(None);
    }
    Ok(Some(Piece::Columns(ColumnsPiece { times: times.into(), values: values.into(), starts: None })))
}
