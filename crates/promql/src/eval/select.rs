//! Selectors: pieces from the store to samples, samples to columns.

use super::column::{Column, Grid, Series};
use super::{Evaluation, Evaluator};
use crate::engine::QueryError;
use crate::plan::{Selector, Window};
use crate::syntax::ast::Edges;
use model::{Labels, Millis, TimeRange, Timestamp, is_stale};
use storage::{Hints, Piece, Select, SelectError, Selection, SeriesPieces};

/// One series' samples, reused from series to series.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// As many as `times`, or none at all.
    pub(crate) starts: Vec<i64>,
}

impl Samples {
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
    }

    /// Takes staleness markers out, as range selectors want it.
    fn drop_stale(&mut self) {
        if !self.values.iter().any(|value| is_stale(*value)) {
            return;
        }
        let with_starts = !self.starts.is_empty();
        let mut kept = 0;
        for at in 0..self.values.len() {
            if !is_stale(self.values[at]) {
                self.times[kept] = self.times[at];
                self.values[kept] = self.values[at];
                if with_starts {
                    self.starts[kept] = self.starts[at];
                }
                kept += 1;
            }
        }
        self.times.truncate(kept);
        self.values.truncate(kept);
        self.starts.truncate(kept);
    }

    fn load(&mut self, series: &SeriesPieces, range: TimeRange, starts_wanted: bool) -> Evaluation<()> {
        self.clear();
        for piece in &series.pieces {
            if piece.last() < range.start || piece.first() >= range.end {
                continue;
            }
            let before = self.times.len();
            match piece {
                Piece::Chunk(chunk) if !chunk.encoding.is_float() => return Err(QueryError::NativeHistogram),
                Piece::Histograms(piece) => {
                    if piece.samples.iter().any(|(at, _)| range.contains(*at)) {
                        return Err(QueryError::NativeHistogram);
                    }
                }
                Piece::Chunk(piece) => {
                    chunk::decode_into(piece.encoding, &piece.bytes, &mut self.times, &mut self.values)
                        .map_err(|e| QueryError::Storage(SelectError::Corrupt(e.to_string())))?;
                }
                Piece::Columns(piece) => {
                    self.times.extend_from_slice(&piece.times);
                    self.values.extend_from_slice(&piece.values);
                    if let Some(starts) = piece.starts.as_ref().filter(|_| starts_wanted) {
                        self.starts.resize(before, 0);
                        self.starts.extend_from_slice(starts);
                    }
                }
            }
            self.clip(before, range);
        }
        if !self.starts.is_empty() {
            self.starts.resize(self.times.len(), 0);
        }
        Ok(())
    }

    /// Takes what lies outside the range from the samples behind `from`.
    fn clip(&mut self, from: usize, range: TimeRange) {
        let behind = from + self.times[from..].partition_point(|t| *t < range.end.0);
        self.times.truncate(behind);
        self.values.truncate(behind);
        self.starts.truncate(behind);
        let before = self.times[from..].partition_point(|t| *t < range.start.0);
        self.times.drain(from..from + before);
        self.values.drain(from..from + before);
        if self.starts.len() > from {
            let end = (from + before).min(self.starts.len());
            self.starts.drain(from..end);
        }
    }
}

impl Selector {
    /// The instant a step at `at` asks about.
    pub(crate) fn reference(&self, at: i64) -> i64 {
        self.at.map_or(at, |at| at.0).saturating_sub(self.offset_ms)
    }
}

impl Evaluator<'_> {
    /// Runs `each` over the selected series that have samples in `range`, in label order.
    pub(crate) fn each_series(
        &mut self,
        selector: &Selector,
        range: TimeRange,
        hints: Hints,
        mut each: impl FnMut(&mut Self, Labels, &mut Samples) -> Evaluation<()>,
    ) -> Evaluation<()> {
        let mut selection = Selection::new(selector.matchers.clone(), range);
        selection.hints = hints;
        let (store, context) = (self.store, self.context);
        let mut stream = Select::select(store, &selection, context)?;
        let mut samples = Samples::default();
        while let Some(batch) = stream.next()? {
            context.check()?;
            for series in batch.series {
                samples.load(&series, range, self.options.features.use_start_timestamps)?;
                if !samples.times.is_empty() {
                    context.check()?;
                    each(self, series.labels, &mut samples)?;
                }
            }
        }
        for warning in stream.take_warnings().iter() {
            self.annotations.add_store_warning(warning);
        }
        Ok(())
    }

    /// As [`Self::each_series`], over all a window function looks at, staleness markers left out.
    pub(crate) fn each_window_series(
        &mut self,
        window: &Window,
        grid: Grid,
        mut each: impl FnMut(&mut Self, Labels, &Samples) -> Evaluation<()>,
    ) -> Evaluation<()> {
        if grid.len == 0 {
            return Ok(());
        }
        let lookback = self.lookback_ms();
        let (before, behind) = match window.selector.edges {
            Edges::Plain => (0, 0),
            Edges::Anchored => (lookback, 0),
            Edges::Smoothed => (lookback, lookback),
        };
        let first = window.selector.reference(grid.start).saturating_sub(window.range_ms + before);
        let last = window.selector.reference(grid.last()).saturating_add(behind);
        let range = TimeRange::closed(Timestamp(first.saturating_add(1)), Timestamp(last));
        let hints = Hints { step: step_hint(grid), window: Some(Millis(window.range_ms)), ..Hints::default() };
        self.each_series(&window.selector, range, hints, |evaluator, labels, samples| {
            samples.drop_stale();
            each(evaluator, labels, samples)
        })
    }

    /// An instant vector: at each step the latest sample that is not too old.
    pub(crate) fn instant_vector(&mut self, selector: &Selector, grid: Grid) -> Evaluation<Vec<Series>> {
        if selector.edges == Edges::Smoothed {
            return self.smoothed_vector(selector, grid);
        }
        self.latest(selector, grid, |_, value, _| value)
    }

    /// As an instant vector; `pick(time, value, start)` says what of each sample is wanted.
    pub(crate) fn latest(
        &mut self,
        selector: &Selector,
        grid: Grid,
        pick: impl Fn(i64, f64, i64) -> f64,
    ) -> Evaluation<Vec<Series>> {
        self.latest_read_at(selector, selector, grid, pick)
    }

    /// When the sample of each step was taken.
    ///
    /// With `@` and `offset` together upstream fetches what both ask for, and then reads it at the time of `@` alone.
    pub(crate) fn taken_at(
        &mut self,
        selector: &Selector,
        grid: Grid,
        pick: impl Fn(i64, f64, i64) -> f64,
    ) -> Evaluation<Vec<Series>> {
        match selector.at {
            Some(_) if selector.offset_ms != 0 => {
                let read = Selector { offset_ms: 0, ..selector.clone() };
                self.latest_read_at(selector, &read, grid, pick)
            }
            _ => self.latest(selector, grid, pick),
        }
    }

    /// Fetches what `selector` asks for, reads it as `read` says.
    fn latest_read_at(
        &mut self,
        selector: &Selector,
        read: &Selector,
        grid: Grid,
        pick: impl Fn(i64, f64, i64) -> f64,
    ) -> Evaluation<Vec<Series>> {
        let mut result = Vec::new();
        if grid.len == 0 {
            return Ok(result);
        }
        let lookback = self.lookback_ms();
        let first = selector.reference(grid.start).saturating_sub(lookback - 1);
        let last = selector.reference(grid.last());
        let range = TimeRange::closed(Timestamp(first), Timestamp(last));
        let hints = Hints { step: step_hint(grid), ..Hints::default() };
        self.each_series(selector, range, hints, |evaluator, labels, samples| {
            let column = latest_column(read, grid, lookback, samples, &pick);
            let count = column.count();
            if count > 0 {
                evaluator.samples.look_at(count as u64, count as u64);
                evaluator.samples.leave_gaps(column.steps().len() - count)?;
                evaluator.samples.hold(count)?;
                result.push(Series { labels, drop_name: false, column });
            }
            Ok(())
        })?;
        Ok(result)
    }

    fn smoothed_vector(&mut self, selector: &Selector, grid: Grid) -> Evaluation<Vec<Series>> {
        let mut result = Vec::new();
        if grid.len == 0 {
            return Ok(result);
        }
        let lookback = self.lookback_ms();
        let first = selector.reference(grid.start).saturating_sub(lookback - 1);
        let last = selector.reference(grid.last()).saturating_add(lookback);
        let range = TimeRange::closed(Timestamp(first), Timestamp(last));
        self.each_series(selector, range, Hints::default(), |evaluator, labels, samples| {
            samples.drop_stale();
            let mut column = Column::default();
            for step in 0..grid.len {
                let at = selector.reference(grid.at(step));
                if let Some(value) = super::extended::smoothed_at(samples, at, lookback) {
                    column.push(step, value);
                }
            }
            let count = column.count();
            if count > 0 {
                evaluator.samples.hold(count)?;
                result.push(Series { labels, drop_name: false, column });
            }
            Ok(())
        })?;
        Ok(result)
    }
}

fn latest_column(
    selector: &Selector,
    grid: Grid,
    lookback: i64,
    samples: &Samples,
    pick: &impl Fn(i64, f64, i64) -> f64,
) -> Column {
    let mut column = Column::default();
    let mut behind = 0;
    for step in 0..grid.len {
        let at = selector.reference(grid.at(step));
        while samples.times.get(behind).is_some_and(|t| *t <= at) {
            behind += 1;
        }
        let Some(latest) = behind.checked_sub(1) else { continue };
        let (time, value) = (samples.times[latest], samples.values[latest]);
        if time > at.saturating_sub(lookback) && !is_stale(value) {
            column.push(step, pick(time, value, samples.starts.get(latest).copied().unwrap_or(0)));
        }
    }
    column
}

fn step_hint(grid: Grid) -> Option<Millis> {
    (grid.len > 1).then_some(Millis(grid.step))
}
