//! `sort` and its kin: order of an instant's series. Over a range they do nothing, answers are ordered by labels then.

use super::column::{Grid, Series};
use super::ranking::{Wanted, rank};
use super::{Evaluation, Evaluator};
use crate::plan::CallNode;
use std::cmp::Ordering;

impl Evaluator<'_> {
    pub(crate) fn sort(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Vec<Series>> {
        let names: Vec<String> = call.args[1..].iter().map(|arg| self.text(arg)).collect::<Evaluation<_>>()?;
        let held = self.samples.held();
        let mut series = self.vector(&call.args[0], grid)?;
        let gathered = super::call::present_at_end(&series);
        if grid.len == 1 {
            series.retain(|series| series.column.present(0).is_some());
            match call.name {
                "sort" => rank(&mut series, Wanted::Smallest, |series| series.column.get(0)),
                "sort_desc" => rank(&mut series, Wanted::Largest, |series| series.column.get(0)),
                "sort_by_label" => series.sort_by(|a, b| by_labels(a, b, &names)),
                _ => series.sort_by(|a, b| by_labels(b, a, &names)),
            }
        }
        let count = series.iter().map(|series| series.column.count()).sum();
        self.samples.settle(held, gathered, count)?;
        Ok(series)
    }
}

fn by_labels(a: &Series, b: &Series, names: &[String]) -> Ordering {
    for name in names {
        let (left, right) = (a.labels.value(name), b.labels.value(name));
        if left != right {
            return natural(left, right);
        }
    }
    a.labels.cmp(&b.labels)
}

/// Natural order: runs of digits compare as numbers (`node2` before `node10`).
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (chunks(a), chunks(b));
    loop {
        let (left, right) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => (left, right),
        };
        let order = match (left.parse::<i64>(), right.parse::<i64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Runs of digits and of anything else.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (chunk, behind) = rest.split_at(end);
        rest = behind;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_labels_count() {
        let mut names = ["node10", "node2", "node1-b", "node1", "10", "9", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "9", "10", "node1", "node1-b", "node2", "node10"]);
    }
}
