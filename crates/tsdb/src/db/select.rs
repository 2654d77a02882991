//! Appending to and selecting from an open directory.

use super::{Db, Shared};
use crate::answer::cut;
use model::TimeRange;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{
    Abilities, Append, AppendError, Appender, LabelQuery, Merged, QueryContext, Select, SelectError, Selection,
    SeriesStream, Tenant, Warnings,
};

impl Append for Db {
    fn begin(&self, tenant: Tenant) -> Result<Box<dyn Appender>, AppendError> {
        self.shared.head.begin(tenant)
    }

    fn abilities(&self) -> Abilities {
        Append::abilities(&self.shared.head)
    }
}

impl Select for Db {
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        // The head first: a block is in the list before the head lets go of its samples, so whatever the head no longer has by
        // then is in the list read afterwards.
        let head = self.shared.head.select(selection, context)?;
        let mut stores = self.shared.blocks_within(selection.range);
        if stores.is_empty() {
            return Ok(head);
        }
        stores.push(Arc::new(Taken { stream: Mutex::new(Some(head)), range: selection.range }));
        Merged::new(stores).select(selection, context)
    }

    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.shared.union(query, |store| store.label_names(query, context))
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.shared.union(query, |store| store.label_values(name, query, context))
    }

    fn abilities(&self) -> Abilities {
        Append::abilities(&self.shared.head)
    }

    fn covers(&self) -> Option<TimeRange> {
        let mut stores = self.shared.blocks_within(TimeRange::ALL);
        stores.push(Arc::new(self.shared.head.clone()));
        Merged::new(stores).covers()
    }
}

impl Shared {
    /// The blocks that touch a range, oldest first.
    fn blocks_within(&self, range: TimeRange) -> Vec<Arc<dyn Select>> {
        let blocks = self.blocks.load();
        let touching = blocks.iter().filter(|block| block.meta().range().overlaps(&range));
        touching.map(|block| Arc::new(block.clone()) as Arc<dyn Select>).collect()
    }

    /// What head and blocks answer to a question about labels; the head is asked before the list of blocks is read, as in
    /// [`Db::select`].
    fn union(
        &self,
        query: &LabelQuery,
        ask: impl Fn(&dyn Select) -> Result<(BTreeSet<String>, Warnings), SelectError>,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        let (mut all, mut warnings) = ask(&self.head)?;
        let (more, said) = ask(&Merged::new(self.blocks_within(query.range)))?;
        all.extend(more);
        warnings.absorb(said);
        cut(&mut all, query.limit);
        Ok((all, warnings))
    }
}

/// A selection already made, as a store that gives it once.
struct Taken {
    stream: Mutex<Option<Box<dyn SeriesStream>>>,
    range: TimeRange,
}

impl Select for Taken {
    fn select(&self, _selection: &Selection, _context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        self.stream.lock().take().ok_or_else(|| SelectError::Unavailable("a selection is read once".to_owned()))
    }

    fn label_names(&self, _: &LabelQuery, _: &QueryContext) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        Ok(Default::default())
    }

    fn label_values(
        &self,
        _: &str,
        _: &LabelQuery,
        _: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        Ok(Default::default())
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn covers(&self) -> Option<TimeRange> {
        Some(self.range)
    }
}
