//! Appending to and selecting from an open directory.

use super::{Db, Shared};
use model::{Exemplar, Labels, Matcher, TimeRange};
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
        self.shared.all(query.range).label_names(query, context)
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.shared.all(query.range).label_values(name, query, context)
    }

    /// None are kept, as with the original's exemplar storage off.
    fn exemplars(
        &self,
        _tenant: Tenant,
        _matcher_sets: &[Vec<Matcher>],
        _range: TimeRange,
        _context: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SelectError> {
        Ok(Vec::new())
    }

    fn abilities(&self) -> Abilities {
        Append::abilities(&self.shared.head)
    }

    fn covers(&self) -> Option<TimeRange> {
        self.shared.all(TimeRange::ALL).covers()
    }
}

impl Shared {
    /// The blocks that touch a range, oldest first.
    fn blocks_within(&self, range: TimeRange) -> Vec<Arc<dyn Select>> {
        let blocks = self.blocks.load();
        let touching = blocks.iter().filter(|block| block.meta().range().overlaps(&range));
        touching.map(|block| Arc::new(block.clone()) as Arc<dyn Select>).collect()
    }

    /// Head and blocks as one, for questions about labels: the head is asked first, see [`Db::select`].
    fn all(&self, range: TimeRange) -> Merged {
        let mut stores: Vec<Arc<dyn Select>> = vec![Arc::new(self.head.clone())];
        stores.extend(self.blocks_within(range));
        Merged::new(stores)
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
