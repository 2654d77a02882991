//! Asking a block: matchers → series ids → series with their chunks; label names and values.
//!
//! A selection is planned by cost. A matcher that no series without the label can satisfy gives a set to intersect
//! with; one that the missing label satisfies gives a set to take away (the series whose value does not match). Equalities are
//! looked up first; what is left is answered from the table of values, unless the candidates are fewer than the values: then
//! each candidate's own label is tried when its entry is read.
//! Cost (bench `block`): 5 µs for one of 100 000 series, 0.8 µs for each series handed out with ten labels and two chunks.
//! Source of the semantics: a missing label is the empty string, in every matcher.

use super::error::Damage;
use super::index::{IndexReader, Postings, SeriesEntry};
use super::reader::{Block, Inner};
use crate::answer::{cut, only_tenant, without_deleted};
use model::{MatchOp, Matcher, TimeRange};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{
    Abilities, LabelQuery, Piece, QueryContext, Select, SelectError, Selection, SeriesBatch, SeriesPieces,
    SeriesStream, Warnings,
};

/// Series read between two looks at the cancel flag, where nothing is handed out.
const CHECK_EVERY: usize = 1024;

/// The series that may match, ascending, and the matchers that are still to be tried on each.
struct Candidates {
    ids: Vec<u32>,
    untried: Vec<Matcher>,
}

impl Select for Block {
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        only_tenant(selection.tenant)?;
        let touched = self.0.meta.range().overlaps(&selection.range);
        let candidates = match touched {
            true => self.0.candidates(&selection.matchers, context)?,
            false => Candidates { ids: Vec::new(), untried: Vec::new() },
        };
        let held = candidates.ids.capacity() as u64 * 4;
        context.budget.take(held)?;
        Ok(Box::new(BlockStream {
            block: self.clone(),
            candidates,
            next: 0,
            range: selection.range,
            partial: selection.partial,
            labels_only: selection.hints.labels_only,
            left: if selection.hints.series_max == 0 { usize::MAX } else { selection.hints.series_max },
            entry: SeriesEntry::default(),
            warnings: Warnings::default(),
            context: context.clone(),
            held,
        }))
    }

    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        only_tenant(query.tenant)?;
        let mut names = BTreeSet::new();
        if !self.0.meta.range().overlaps(&query.range) {
            return Ok((names, Warnings::default()));
        }
        if query.matchers.is_empty() {
            names.extend(self.0.index.names().map(str::to_owned));
        } else {
            self.0.visit(&query.matchers, context, |index, entry| {
                for name in index.label_names_of(entry) {
                    let name = name?;
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                }
                Ok(())
            })?;
        }
        cut(&mut names, query.limit);
        Ok((names, Warnings::default()))
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        only_tenant(query.tenant)?;
        let mut values = BTreeSet::new();
        if !self.0.meta.range().overlaps(&query.range) {
            return Ok((values, Warnings::default()));
        }
        if query.matchers.is_empty() {
            let limit = if query.limit == 0 { usize::MAX } else { query.limit };
            for value in self.0.index.values(name).take(limit) {
                values.insert(value.map_err(|damage| self.0.corrupt(damage))?.0.to_owned());
            }
            return Ok((values, Warnings::default()));
        }
        self.0.visit(&query.matchers, context, |index, entry| {
            let value = index.label_value(entry, name)?;
            if !value.is_empty() && !values.contains(value) {
                values.insert(value.to_owned());
            }
            Ok(())
        })?;
        cut(&mut values, query.limit);
        Ok((values, Warnings::default()))
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn covers(&self) -> Option<TimeRange> {
        Some(self.0.meta.range()).filter(|range| !range.is_empty())
    }
}

impl Inner {
    fn corrupt(&self, damage: Damage) -> SelectError {
        SelectError::Corrupt(format!("cannot read index of block {}: {damage}", self.meta.ulid))
    }

    /// Calls `see` with every series that matches.
    fn visit<'a>(
        &'a self,
        matchers: &[Matcher],
        context: &QueryContext,
        mut see: impl FnMut(&'a IndexReader, &SeriesEntry) -> Result<(), Damage>,
    ) -> Result<(), SelectError> {
        let candidates = self.candidates(matchers, context)?;
        let mut entry = SeriesEntry::default();
        for (at, id) in candidates.ids.iter().enumerate() {
            if at % CHECK_EVERY == 0 {
                context.check()?;
            }
            let mut visit = || {
                self.index.series(*id, &mut entry)?;
                if self.try_matchers(&candidates.untried, &entry)? {
                    see(&self.index, &entry)?;
                }
                Ok(())
            };
            visit().map_err(|damage| self.corrupt(damage))?;
        }
        Ok(())
    }

    fn try_matchers(&self, matchers: &[Matcher], entry: &SeriesEntry) -> Result<bool, Damage> {
        for matcher in matchers {
            if !matcher.matches(self.index.label_value(entry, &matcher.name)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn candidates(&self, matchers: &[Matcher], context: &QueryContext) -> Result<Candidates, SelectError> {
        context.check()?;
        self.plan(matchers).map_err(|damage| self.corrupt(damage))
    }

    fn plan(&self, matchers: &[Matcher]) -> Result<Candidates, Damage> {
        let mut found: Option<Vec<u32>> = None;
        let mut without: Vec<Postings<'_>> = Vec::new();
        let mut wide: Vec<&Matcher> = Vec::new();
        for matcher in matchers {
            match (matcher.op, matcher.value.is_empty()) {
                (MatchOp::Equal, false) => {
                    let list = self.index.postings(&matcher.name, &matcher.value)?;
                    narrow(&mut found, list.iter().flat_map(|list| list.iter()), list.map_or(0, |list| list.len()));
                    if found.as_ref().is_some_and(Vec::is_empty) {
                        return Ok(Candidates { ids: Vec::new(), untried: Vec::new() });
                    }
                }
                (MatchOp::NotEqual, false) => without.extend(self.index.postings(&matcher.name, &matcher.value)?),
                _ => match literals(matcher) {
                    Some(texts) if matcher.op == MatchOp::NotRegex => {
                        for text in texts {
                            without.extend(self.index.postings(&matcher.name, text)?);
                        }
                    }
                    Some(texts) => self.apply_literals(matcher, texts, &mut found)?,
                    None => wide.push(matcher),
                },
            }
        }
        // few values first: what they leave may make the others cheaper to try one by one
        wide.sort_by_key(|matcher| self.index.value_count(&matcher.name));
        let mut untried = Vec::new();
        for matcher in wide {
            if found.as_ref().is_some_and(|ids| ids.len() <= self.index.value_count(&matcher.name)) {
                untried.push(matcher.clone());
            } else {
                self.apply_values(matcher, &mut found)?;
            }
        }
        let mut ids = match found {
            Some(ids) => ids,
            None => self.all_ids()?,
        };
        for list in without {
            subtract(&mut ids, list.iter());
        }
        Ok(Candidates { ids, untried })
    }

    /// Applies an expression that matches these texts and no others.
    fn apply_literals(&self, matcher: &Matcher, texts: &[String], found: &mut Option<Vec<u32>>) -> Result<(), Damage> {
        let mut ids = Vec::new();
        for text in texts {
            if let Some(list) = self.index.postings(&matcher.name, text)? {
                ids.extend(list.iter());
            }
        }
        ids.sort();
        let count = ids.len();
        narrow(found, ids.into_iter(), count);
        Ok(())
    }

    /// Applies a matcher by looking at every value of its label that can decide something.
    fn apply_values(&self, matcher: &Matcher, found: &mut Option<Vec<u32>>) -> Result<(), Damage> {
        let absent_matches = matcher.matches_empty();
        let mut ids = Vec::new();
        let mut lists = 0;
        // with the label missing being a match, what is gathered is what does not match
        let gathers_matches = absent_matches == (matcher.op == MatchOp::NotRegex);
        let prefix = matcher.regex().filter(|_| gathers_matches).map_or("", |regex| regex.prefix());
        for value in self.index.values_from(&matcher.name, prefix) {
            let (value, at) = value?;
            if !value.starts_with(prefix) {
                break;
            }
            if matcher.matches(value) != absent_matches {
                ids.extend(self.index.postings_at(at)?.iter());
                lists += 1;
            }
        }
        if lists > 1 {
            ids.sort(); // runs that ascend: the stable sort merges them
        }
        if absent_matches {
            let mut all = match found.take() {
                Some(ids) => ids,
                None => self.all_ids()?,
            };
            subtract(&mut all, ids.into_iter());
            *found = Some(all);
        } else {
            let count = ids.len();
            narrow(found, ids.into_iter(), count);
        }
        Ok(())
    }
}

/// The texts that decide an expression, where they are few and the missing label is none of them.
fn literals(matcher: &Matcher) -> Option<&[String]> {
    matcher.regex()?.literal_set().filter(|texts| texts.iter().all(|text| !text.is_empty()))
}

/// Keeps of `found` what is in `list` too; `None` stands for everything.
fn narrow(found: &mut Option<Vec<u32>>, list: impl Iterator<Item = u32>, count: usize) {
    let Some(ids) = found else {
        let mut ids = Vec::with_capacity(count);
        ids.extend(list);
        *found = Some(ids);
        return;
    };
    let mut list = list.peekable();
    ids.retain(|id| {
        while list.next_if(|other| other < id).is_some() {}
        list.peek() == Some(id)
    });
}

/// Takes the ids of `list` out of `ids`; both ascend.
fn subtract(ids: &mut Vec<u32>, list: impl Iterator<Item = u32>) {
    let mut list = list.peekable();
    ids.retain(|id| {
        while list.next_if(|other| other < id).is_some() {}
        list.peek() != Some(id)
    });
}

struct BlockStream {
    block: Block,
    candidates: Candidates,
    next: usize,
    range: TimeRange,
    partial: bool,
    labels_only: bool,
    left: usize,
    entry: SeriesEntry,
    warnings: Warnings,
    context: QueryContext,
    held: u64,
}

impl Drop for BlockStream {
    fn drop(&mut self) {
        self.context.budget.give_back(self.held);
    }
}

impl SeriesStream for BlockStream {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        self.context.check()?;
        let mut batch = SeriesBatch::default();
        while batch.series.len() < SeriesBatch::SERIES_MAX {
            let Some(id) = self.candidates.ids.get(self.next).copied() else { break };
            self.next += 1;
            if self.next.is_multiple_of(CHECK_EVERY) {
                self.context.check()?;
            }
            let Some(series) = self.read(id)? else { continue };
            if self.left == 0 {
                self.warnings.add(storage::CUT);
                self.next = self.candidates.ids.len();
                break;
            }
            self.left -= 1;
            batch.series.push(series);
        }
        Ok(if batch.series.is_empty() { None } else { Some(batch) })
    }

    fn take_warnings(&mut self) -> Warnings {
        std::mem::take(&mut self.warnings)
    }
}

impl BlockStream {
    /// Reads one series, or `None` when it does not match or has nothing in the range.
    fn read(&mut self, id: u32) -> Result<Option<SeriesPieces>, SelectError> {
        let inner = Arc::clone(&self.block.0);
        let mut entry = || {
            inner.index.series(id, &mut self.entry)?;
            if !inner.try_matchers(&self.candidates.untried, &self.entry)? {
                return Ok(None);
            }
            inner.index.labels(&self.entry).map(Some)
        };
        let labels = match entry() {
            Ok(Some(labels)) => labels,
            Ok(None) => return Ok(None),
            Err(damage) => {
                let text = format!("cannot read series {id} of block {}: {damage}", inner.meta.ulid);
                return self.excuse(text).map(|()| None);
            }
        };
        let deleted = inner.deleted(id, self.range);
        let mut pieces = Vec::new();
        let mut any = false;
        for at in 0..self.entry.chunks.len() {
            let meta = self.entry.chunks[at];
            let wanted = meta.first < self.range.end.0 && meta.last >= self.range.start.0;
            if !wanted || deleted.iter().any(|i| i.first <= meta.first && meta.last <= i.last) {
                continue;
            }
            any = true;
            if self.labels_only {
                break;
            }
            let piece = inner.chunk(&meta).map_err(|damage| damage.to_string()).and_then(|piece| {
                let touched = deleted.iter().any(|i| i.first <= meta.last && meta.first <= i.last);
                if touched {
                    without_deleted(&piece, &deleted).map_err(|e| e.to_string())
                } else {
                    Ok(Some(Piece::Chunk(piece)))
                }
            });
            match piece {
                Ok(piece) => pieces.extend(piece),
                Err(found) => {
                    let text = format!(
                        "cannot read samples {}..{} of series {labels} in block {}: {found}",
                        meta.first, meta.last, inner.meta.ulid
                    );
                    self.excuse(text)?;
                }
            }
        }
        if !any {
            return Ok(None);
        }
        Ok(Some(SeriesPieces { labels, pieces: storage::merge::merge_pieces(pieces)? }))
    }

    /// Damage is a warning for callers that take part of an answer.
    fn excuse(&mut self, text: String) -> Result<(), SelectError> {
        if !self.partial {
            return Err(SelectError::Corrupt(text));
        }
        self.warnings.add(text);
        Ok(())
    }
}
