//! `label_replace` and `label_join`: new labels, once per series.

use super::column::{Grid, Series};
use super::{Evaluation, Evaluator, merged_by_labels};
use crate::engine::QueryError;
use crate::plan::CallNode;
use crate::syntax::is_label_name;
use model::labels::METRIC_NAME;
use model::regex::{Regex, Template};

impl Evaluator<'_> {
    pub(crate) fn label_replace(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Vec<Series>> {
        let target = self.text(&call.args[1])?;
        let replacement = self.text(&call.args[2])?;
        let source = self.text(&call.args[3])?;
        let pattern = self.text(&call.args[4])?;
        let Ok(regex) = Regex::anchored(&pattern) else {
            let text = format!("invalid regular expression in label_replace(): {pattern}");
            return Err(QueryError::execution(text));
        };
        if !is_label_name(&target) {
            let text = format!("invalid destination label name in label_replace(): {target}");
            return Err(QueryError::execution(text));
        }
        let template = Template::new(&replacement, &regex);
        let mut series = self.vector(&call.args[0], grid)?;
        let mut value = String::new();
        for series in &mut series {
            let from = series.labels.value(&source);
            let Some(captures) = regex.captures(from) else { continue };
            self.context.check()?;
            self.samples.make_label(template.expanded_len(&captures, from))?;
            value.clear();
            template.expand(&captures, from, &mut value);
            set_label(series, &target, &value);
        }
        merged_by_labels(series)
    }

    pub(crate) fn label_join(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Vec<Series>> {
        let target = self.text(&call.args[1])?;
        let separator = self.text(&call.args[2])?;
        let sources: Vec<String> = call.args[3..].iter().map(|arg| self.text(arg)).collect::<Evaluation<_>>()?;
        if let Some(source) = sources.iter().find(|source| !is_label_name(source)) {
            let text = format!("invalid source label name in label_join(): {source}");
            return Err(QueryError::execution(text));
        }
        if !is_label_name(&target) {
            let text = format!("invalid destination label name in label_join(): {target}");
            return Err(QueryError::execution(text));
        }
        let mut series = self.vector(&call.args[0], grid)?;
        for series in &mut series {
            let values: Vec<&str> = sources.iter().map(|source| series.labels.value(source)).collect();
            self.context.check()?;
            let long = values.iter().map(|value| value.len().saturating_add(separator.len()));
            self.samples.make_label(long.fold(0, usize::saturating_add))?;
            let value = values.join(&separator);
            set_label(series, &target, &value);
        }
        merged_by_labels(series)
    }
}

/// Sets a label; a name that is set stays.
fn set_label(series: &mut Series, name: &str, value: &str) {
    let mut labels = series.labels.to_builder();
    labels.set(name, value);
    series.labels = labels.build();
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}
