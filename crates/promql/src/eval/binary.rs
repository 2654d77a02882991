//! Binary operations: scalars, vectors with scalars, vectors with vectors, sets.
//!
//! Vectors meet in groups of equal signature. A group with one series on the "one" side at each step is a loop over columns;
//! everything else (several series there, fill values) goes step by step and finds the same errors as the original.

use super::call::present_at_end;
use super::column::{Column, Grid, Scalar, Series, StepSet, span};
use super::matching::{MatchGroup, match_groups, signature};
use super::{Evaluated, Evaluation, Evaluator, remove_metadata};
use crate::annotation::Annotation;
use crate::engine::QueryError;
use crate::plan::BinaryNode;
use crate::syntax::ast::{BinaryOp, Cardinality, ValueType};
use model::Labels;

const MANY_TO_ONE: &str = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const NOT_UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// The value, and whether a comparison keeps it.
#[inline]
fn apply(op: BinaryOp, a: f64, b: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (a + b, true),
        BinaryOp::Sub => (a - b, true),
        BinaryOp::Mul => (a * b, true),
        BinaryOp::Div => (a / b, true),
        BinaryOp::Mod => (a % b, true),
        BinaryOp::Pow => (super::math::go_pow(a, b), true),
        BinaryOp::Atan2 => (a.atan2(b), true),
        BinaryOp::Equal => (a, a == b),
        BinaryOp::NotEqual => (a, a != b),
        BinaryOp::Less => (a, a < b),
        BinaryOp::LessEqual => (a, a <= b),
        BinaryOp::Greater => (a, a > b),
        BinaryOp::GreaterEqual => (a, a >= b),
        BinaryOp::TrimUpper | BinaryOp::TrimLower | BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => (a, false),
    }
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

impl Evaluator<'_> {
    pub(crate) fn binary(&mut self, e: &BinaryNode, grid: Grid) -> Evaluation<Evaluated> {
        let held = self.samples.held();
        match (e.lhs_type, e.rhs_type) {
            (ValueType::Scalar, ValueType::Scalar) => {
                let (a, b) = (self.scalar(&e.lhs, grid)?, self.scalar(&e.rhs, grid)?);
                if is_trim(e.op) {
                    let op = e.op.as_str();
                    let text = format!("operator \"{op}\" not allowed for Scalar operations");
                    return Err(QueryError::execution(text));
                }
                self.samples.settle(held, 2, grid.len)?;
                let number = |a, b| match apply(e.op, a, b) {
                    (_, kept) if e.op.is_comparison() => f64::from(u8::from(kept)),
                    (value, _) => value,
                };
                Ok(Evaluated::Scalar(a.zip(&b, grid.len, number)))
            }
            (ValueType::Scalar, _) => {
                let scalar = self.scalar(&e.lhs, grid)?;
                let series = self.vector(&e.rhs, grid)?;
                self.with_scalar(e, series, &scalar, true, held, grid)
            }
            (_, ValueType::Scalar) => {
                let series = self.vector(&e.lhs, grid)?;
                let scalar = self.scalar(&e.rhs, grid)?;
                self.with_scalar(e, series, &scalar, false, held, grid)
            }
            _ => {
                let (left, right) = (self.vector(&e.lhs, grid)?, self.vector(&e.rhs, grid)?);
                let gathered = present_at_end(&left) + present_at_end(&right);
                let result = if e.op.is_set() { set(e, left, right) } else { self.vectors(e, left, right)? };
                self.ended(result, held, gathered, grid)
            }
        }
    }

    fn with_scalar(
        &mut self,
        e: &BinaryNode,
        mut series: Vec<Series>,
        scalar: &Scalar,
        scalar_left: bool,
        held: usize,
        grid: Grid,
    ) -> Evaluation<Evaluated> {
        let gathered = present_at_end(&series) + 1;
        if is_trim(e.op) {
            if series.iter().any(|series| !series.column.is_empty()) {
                self.annotations.add(Annotation::IncompatibleTypes(e.op.as_str()), e.span);
            }
            series.clear();
        }
        let drops_name = e.op.changes_quantity() || e.return_bool;
        for series in &mut series {
            if let (false, Scalar::Constant(constant)) = (e.op.is_comparison(), scalar) {
                let constant = *constant;
                if scalar_left {
                    series.column.map(|value| apply(e.op, constant, value).0);
                } else {
                    series.column.map(|value| apply(e.op, value, constant).0);
                }
            } else {
                series.column = compared_with_scalar(e, &series.column, scalar, scalar_left);
            }
            if drops_name {
                self.drop_name(series);
            }
        }
        series.retain(|series| !series.column.is_empty());
        self.ended(series, held, gathered, grid)
    }

    fn vectors(&mut self, e: &BinaryNode, left: Vec<Series>, right: Vec<Series>) -> Evaluation<Vec<Series>> {
        let swapped = e.matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let groups = match_groups(&many, &one, &e.matching);
        let meeting = Meeting { e, many: &many, one: &one, swapped, delayed: self.delayed_names() };
        let filled = e.matching.fill_left.is_some() || e.matching.fill_right.is_some();
        let doubled = meeting.doubled_on_one_side(&groups).into_iter();
        let crowded =
            groups.iter().filter(|_| !filled && !is_trim(e.op)).filter_map(|group| meeting.doubled_on_many_side(group));
        // the error of the earliest step; of one step that of the "one" side, which is looked at first
        if let Some((_, error)) = doubled.chain(crowded).min_by_key(|(step, _)| *step) {
            return Err(error);
        }
        if is_trim(e.op) {
            if groups.iter().any(|group| meeting.meets(group)) {
                self.annotations.add(Annotation::IncompatibleTypes(e.op.as_str()), e.span);
            }
            return Ok(Vec::new());
        }
        let mut result = Vec::new();
        for group in &groups {
            self.context.check()?;
            if filled {
                meeting.filled(group, &mut result)?;
            } else {
                meeting.plain(group, &mut result);
            }
        }
        Ok(result)
    }
}

fn compared_with_scalar(e: &BinaryNode, column: &Column, scalar: &Scalar, scalar_left: bool) -> Column {
    let mut result = Column::default();
    for (step, value) in column.iter() {
        let (a, b) = if scalar_left { (scalar.at(step), value) } else { (value, scalar.at(step)) };
        let (mut outcome, kept) = apply(e.op, a, b);
        if e.op.is_comparison() {
            // of a comparison the series' value stays, on whichever side it stands
            outcome = if e.return_bool { f64::from(u8::from(kept)) } else { value };
        }
        if kept || e.return_bool {
            result.push(step, outcome);
        }
    }
    result
}

/// A series of the "many" side and one of the "one" side; `None` where a fill value stands in.
type Pair = (Option<usize>, Option<usize>);

/// Two vectors that meet. `one` is the side that may have one series per group only.
struct Meeting<'a> {
    e: &'a BinaryNode,
    many: &'a [Series],
    one: &'a [Series],
    /// `one` stands left.
    swapped: bool,
    delayed: bool,
}

impl Meeting<'_> {
    fn is_one_to_one(&self) -> bool {
        self.e.matching.card == Cardinality::OneToOne
    }

    /// Two series of one group on the "one" side at the same step are an error: which, and at which step first.
    fn doubled_on_one_side(&self, groups: &[MatchGroup]) -> Option<(usize, QueryError)> {
        if groups.iter().all(|group| group.right.len() < 2) {
            return None;
        }
        let filled = self.e.matching.fill_left.is_some() || self.e.matching.fill_right.is_some();
        // where a side is empty nothing is matched and nothing is wrong
        let many_present = StepSet::of(self.many.iter().map(|series| &series.column));
        // earliest step, then earliest second series
        let mut found: Option<(usize, usize, usize)> = None;
        for group in groups {
            if group.right.len() < 2 {
                continue;
            }
            let span = span(group.right.iter().map(|at| &self.one[*at].column));
            let mut holder: Vec<Option<usize>> = vec![None; span.len()];
            for at in &group.right {
                for (step, _) in self.one[*at].column.iter() {
                    match holder[step - span.start] {
                        Some(first) if filled || many_present.contains(step) => {
                            let candidate = (step, *at, first);
                            found = Some(found.map_or(candidate, |best| best.min(candidate)));
                        }
                        Some(_) => {}
                        None => holder[step - span.start] = Some(*at),
                    }
                }
            }
        }
        let (step, second, first) = found?;
        let matched = signature(&self.one[second].labels, &self.e.matching);
        let side = if self.swapped { "left" } else { "right" };
        let mut pair = [self.one[first].labels.to_string(), self.one[second].labels.to_string()];
        pair.sort();
        let error = QueryError::execution(format!(
            "found duplicate series for the match group {matched} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            pair[0], pair[1]
        ));
        Some((step, error))
    }

    fn meets(&self, group: &MatchGroup) -> bool {
        let one = |step| group.right.iter().any(|at| self.one[*at].column.present(step).is_some());
        group.left.iter().any(|at| self.many[*at].column.iter().any(|(step, _)| one(step)))
    }

    /// The value of a pair, and whether it is shown.
    #[inline]
    fn value(&self, many: f64, one: f64) -> (f64, bool) {
        let (a, b) = if self.swapped { (one, many) } else { (many, one) };
        let (value, kept) = apply(self.e.op, a, b);
        if self.e.return_bool { (f64::from(u8::from(kept)), true) } else { (value, kept) }
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let mut labels = many.to_builder();
        if (self.e.return_bool && !self.delayed) || self.e.op.changes_quantity() {
            remove_metadata(&mut labels);
        }
        let matching = &self.e.matching;
        if self.is_one_to_one() {
            let listed = |name: &str| matching.labels.iter().any(|label| label == name);
            labels.retain(|name, _| listed(name) == matching.on);
        }
        for name in &matching.include {
            labels.set(name, one.value(name));
        }
        labels.build()
    }

    fn series(&self, many: &Labels, one: &Labels, column: Column) -> Series {
        Series { labels: self.labels(many, one), drop_name: self.e.return_bool, column }
    }

    /// A group without fill values: each pair of series by itself.
    fn plain(&self, group: &MatchGroup, result: &mut Vec<Series>) {
        for many_at in &group.left {
            for one_at in &group.right {
                let (many, one) = (&self.many[*many_at], &self.one[*one_at]);
                let (a, b) = (many.column.steps(), one.column.steps());
                let mut column = Column::default();
                for step in a.start.max(b.start)..a.end.min(b.end) {
                    if let (Some(left), Some(right)) = (many.column.present(step), one.column.present(step)) {
                        let (value, shown) = self.value(left, right);
                        if shown {
                            column.push(step, value);
                        }
                    }
                }
                if !column.is_empty() {
                    result.push(self.series(&many.labels, &one.labels, column));
                }
            }
        }
    }

    /// Several series on the "many" side need grouping, and then labels of their own: the first step at which they lack it.
    fn doubled_on_many_side(&self, group: &MatchGroup) -> Option<(usize, QueryError)> {
        if group.left.len() < 2 || group.right.is_empty() {
            return None;
        }
        let none = StepSet::within(group.left.iter().map(|at| &self.many[*at].column));
        let matched = |step: usize| group.right.iter().find(|at| self.one[**at].column.present(step).is_some());
        let mut seen: hashbrown::HashMap<Labels, StepSet, foldhash::fast::RandomState> = hashbrown::HashMap::default();
        let mut found: Option<usize> = None;
        for many_at in &group.left {
            let many = &self.many[*many_at];
            let mut of_partner: hashbrown::HashMap<usize, Labels> = hashbrown::HashMap::new();
            for (step, _) in many.column.iter().take_while(|(step, _)| found.is_none_or(|found| *step < found)) {
                let Some(partner) = matched(step) else { continue };
                // one-to-one: the whole group is one result
                let labels = of_partner.entry(*partner).or_insert_with(|| {
                    if self.is_one_to_one() {
                        Labels::empty()
                    } else {
                        self.labels(&many.labels, &self.one[*partner].labels)
                    }
                });
                let steps = seen.entry(labels.clone()).or_insert_with(|| none.clone());
                if !steps.insert(step) {
                    found = Some(step);
                    break;
                }
            }
        }
        let text = if self.is_one_to_one() { MANY_TO_ONE } else { NOT_UNIQUE };
        found.map(|step| (step, QueryError::execution(text)))
    }

    /// A group with fill values, step by step.
    fn filled(&self, group: &MatchGroup, result: &mut Vec<Series>) -> Evaluation<()> {
        // by the pair that was computed; `None` is a side that was filled
        let mut columns: Vec<(Pair, Column)> = Vec::new();
        let mut pairs: Vec<(Pair, f64, f64)> = Vec::new();
        let left = group.left.iter().map(|at| &self.many[*at].column);
        let right = group.right.iter().map(|at| &self.one[*at].column);
        for step in span(left.chain(right)) {
            pairs.clear();
            self.pairs_at(step, group, &mut pairs);
            if self.is_one_to_one() && pairs.len() > 1 {
                return Err(QueryError::execution(MANY_TO_ONE));
            }
            let mut seen: Vec<Labels> = Vec::new();
            for (pair, many, one) in &pairs {
                if pairs.len() > 1 {
                    let labels = self.pair_labels(*pair);
                    if seen.contains(&labels) {
                        return Err(QueryError::execution(NOT_UNIQUE));
                    }
                    seen.push(labels);
                }
                let (value, shown) = self.value(*many, *one);
                if !shown {
                    continue;
                }
                let at = columns.iter().position(|(known, _)| known == pair).unwrap_or_else(|| {
                    columns.push((*pair, Column::default()));
                    columns.len() - 1
                });
                columns[at].1.push(step, value);
            }
        }
        for (pair, column) in columns {
            result.push(Series { labels: self.pair_labels(pair), drop_name: self.e.return_bool, column });
        }
        Ok(())
    }

    /// Which series meet at a step, with their values. Fill values go by side as upstream has it: the right one stands in
    /// for a missing "one" side, the left one for a missing "many" side.
    fn pairs_at(&self, step: usize, group: &MatchGroup, pairs: &mut Vec<(Pair, f64, f64)>) {
        let matching = &self.e.matching;
        let one = group.right.iter().copied().find(|at| self.one[*at].column.present(step).is_some());
        let one_value = one.map(|at| self.one[at].column.get(step)).or(matching.fill_right);
        if let Some(one_value) = one_value {
            for many in &group.left {
                if let Some(many_value) = self.many[*many].column.present(step) {
                    pairs.push(((Some(*many), one), many_value, one_value));
                }
            }
        }
        if let (true, Some(one), Some(fill)) = (pairs.is_empty(), one, matching.fill_left) {
            pairs.push(((None, Some(one)), fill, self.one[one].column.get(step)));
        }
    }

    fn pair_labels(&self, (many, one): Pair) -> Labels {
        let of = |series: &[Series], at: Option<usize>| at.map(|at| series[at].labels.clone());
        let (many, one) = (of(self.many, many), of(self.one, one));
        // a filled side has the labels that matched
        let filled = |other: &Option<Labels>| {
            other.as_ref().map(|labels| signature(labels, &self.e.matching)).unwrap_or_default()
        };
        let many_labels = many.clone().unwrap_or_else(|| filled(&one));
        let one_labels = one.unwrap_or_else(|| filled(&many));
        self.labels(&many_labels, &one_labels)
    }
}

/// `and`, `or`, `unless`.
fn set(e: &BinaryNode, left: Vec<Series>, right: Vec<Series>) -> Vec<Series> {
    let groups = match_groups(&left, &right, &e.matching);
    let present = |series: &[Series], members: &[usize]| StepSet::of(members.iter().map(|at| &series[*at].column));
    let kept = |series: &Series, steps: &StepSet, wanted: bool| {
        let mut column = Column::default();
        series
            .column
            .iter()
            .filter(|(step, _)| steps.contains(*step) == wanted)
            .for_each(|(step, v)| column.push(step, v));
        column
    };
    let mut result: Vec<(usize, Series)> = Vec::new();
    let mut add = |order: usize, series: &Series, column: Column| {
        if !column.is_empty() {
            let (labels, drop_name) = (series.labels.clone(), series.drop_name);
            result.push((order, Series { labels, drop_name, column }));
        }
    };
    for group in &groups {
        if e.op == BinaryOp::Or {
            group.left.iter().for_each(|at| add(*at, &left[*at], left[*at].column.clone()));
            let taken = present(&left, &group.left);
            for at in &group.right {
                add(left.len() + at, &right[*at], kept(&right[*at], &taken, false));
            }
        } else {
            let matched = present(&right, &group.right);
            for at in &group.left {
                add(*at, &left[*at], kept(&left[*at], &matched, e.op == BinaryOp::And));
            }
        }
    }
    result.sort_by_key(|(order, _)| *order);
    result.into_iter().map(|(_, series)| series).collect()
}
