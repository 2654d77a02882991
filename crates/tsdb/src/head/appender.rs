//! The appender: stages a transaction without touching anything shared.
//!
//! Staged samples are 24 bytes each in one vector; the vectors are pooled, so a warm scrape allocates the box of its
//! appender and nothing else.

use super::commit::Commit;
use super::{Head, Inner, make_ref, split_ref};
use crate::head::Health;
use hashbrown::HashMap;
use model::{Labels, Timestamp};
use std::sync::Arc;
use storage::{
    Abilities, Ability, Append, AppendError, Appender, CommitError, Committed, Durability, Row, SeriesRef, Tenant,
};

/// How many sets of buffers are kept for the next appenders.
const POOLED_MAX: usize = 64;
/// Buffers for more samples than this are given back to the allocator.
const POOLED_SAMPLES_MAX: usize = 64 * 1024;

const ABILITIES: Abilities = Abilities::of(&[Ability::AppendFloats, Ability::Synced]);

/// A staged sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Staged {
    pub(super) series: SeriesRef,
    pub(super) at: i64,
    pub(super) value: f64,
}

/// The buffers of one transaction.
#[derive(Default)]
pub(super) struct Staging {
    pub(super) samples: Vec<Staged>,
    /// Label sets the store did not know, by provisional number.
    pub(super) declared: Vec<Labels>,
    by_labels: HashMap<Labels, usize>,
}

impl Staging {
    fn clear(&mut self) {
        self.samples.clear();
        self.declared.clear();
        self.by_labels.clear();
    }
}

struct HeadAppender {
    head: Arc<Inner>,
    staging: Staging,
    /// The collection after which this appender began.
    began_after: u64,
}

impl Append for Head {
    fn begin(&self, tenant: Tenant) -> Result<Box<dyn Appender>, AppendError> {
        if tenant != Tenant::DEFAULT {
            return Err(AppendError::Unsupported(Ability::Tenants));
        }
        if let Some(reason) = self.0.flusher.failed() {
            return Err(AppendError::Poisoned(reason));
        }
        if let Health::Refusing(reason) = self.health() {
            return Err(AppendError::Unavailable(reason));
        }
        let staging = self.0.pool.lock().pop().unwrap_or_default();
        let mut appenders = self.0.appenders.lock();
        let began_after = appenders.collections;
        *appenders.open.entry(began_after).or_default() += 1;
        drop(appenders);
        self.0.instruments.appenders_created.inc();
        Ok(Box::new(HeadAppender { head: self.0.clone(), staging, began_after }))
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }
}

impl HeadAppender {
    fn check_ref(&self, series: SeriesRef, current: impl Fn(u32, u32) -> bool) -> Result<(), AppendError> {
        let known = match series.provisional_index() {
            Some(index) => index < self.staging.declared.len(),
            None => {
                let (slot, generation) = split_ref(series);
                current(slot, generation)
            }
        };
        if known { Ok(()) } else { Err(AppendError::UnknownSeries(series)) }
    }
}

impl Appender for HeadAppender {
    fn declare(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            let reason = "a series needs at least one label".to_owned();
            return Err(AppendError::BadLabels { labels: labels.clone(), reason });
        }
        let index = self.head.index.read();
        let hash = index.hash(labels);
        if let Some((slot, generation)) = index.find(labels, hash) {
            return Ok(make_ref(slot, generation));
        }
        drop(index);
        let next = self.staging.declared.len();
        let number = *self.staging.by_labels.entry(labels.clone()).or_insert(next);
        if number == next {
            self.staging.declared.push(labels.clone());
        }
        Ok(SeriesRef::provisional(number))
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), AppendError> {
        if row.starts.iter().any(|start| start.0 != 0) {
            return Err(AppendError::Unsupported(Ability::AppendStartTimes));
        }
        debug_assert_eq!(row.series.len(), row.values.len(), "a value for each series");
        let index = self.head.index.read();
        for series in row.series {
            self.check_ref(*series, |slot, generation| index.is_current(slot, generation))?;
        }
        drop(index);
        let samples = row.series.iter().zip(row.values);
        self.staging.samples.extend(samples.map(|(series, value)| Staged {
            series: *series,
            at: row.at.0,
            value: *value,
        }));
        Ok(())
    }

    fn sample(&mut self, series: SeriesRef, at: Timestamp, value: f64, start: Timestamp) -> Result<(), AppendError> {
        if start.0 != 0 {
            return Err(AppendError::Unsupported(Ability::AppendStartTimes));
        }
        self.check_ref(series, |slot, generation| self.head.index.read().is_current(slot, generation))?;
        self.staging.samples.push(Staged { series, at: at.0, value });
        Ok(())
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<Committed, CommitError> {
        let committed = Commit::run(&self.head, &self.staging, durability);
        let reason = match &committed {
            Err(CommitError::Unavailable(reason)) if self.head.refusing.read().is_none() => Some(reason.clone()),
            _ => None,
        };
        let before = self.head.unavailable.read().clone();
        if before != reason {
            match (&before, &reason) {
                (None, Some(reason)) => {
                    tracing::warn!(error = %reason, "samples are refused until the log can be written again")
                }
                (Some(_), None) if committed.is_ok() => {
                    tracing::info!("the log can be written again, samples are taken")
                }
                _ => {}
            }
            *self.head.unavailable.write() = reason;
        }
        if committed.is_err() {
            self.head.instruments.wal_writes_failed.inc();
        }
        committed
    }
}

impl Drop for HeadAppender {
    fn drop(&mut self) {
        let mut staging = std::mem::take(&mut self.staging);
        if staging.samples.capacity() <= POOLED_SAMPLES_MAX {
            staging.clear();
            let mut pool = self.head.pool.lock();
            if pool.len() < POOLED_MAX {
                pool.push(staging);
            }
        }
        let mut appenders = self.head.appenders.lock();
        if let Some(count) = appenders.open.get_mut(&self.began_after) {
            *count -= 1;
            if *count == 0 {
                appenders.open.remove(&self.began_after);
            }
        }
    }
}
