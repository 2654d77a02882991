//! From a line's labels to a series' labels: the target's labels, metric relabelling, limits.

use crate::config::JobConfig;
use model::go_text::quote;
use model::{Labels, LabelsBuilder, MetricType};
use wire::exposition::text::read_labels;

/// The labels of a line's series; `None` when a rule drops it. Errors fail the whole visit; the original's words.
pub(crate) fn sample_labels(
    series: &[u8],
    kind: MetricType,
    target: &Labels,
    job: &JobConfig,
) -> Result<Option<Labels>, SampleError> {
    let mut builder = LabelsBuilder::new();
    let empty = read_labels(series, kind, &mut builder).map_err(|e| SampleError::Invalid(e.to_string()))?;
    add_target_labels(&mut builder, target, job.honor_labels);
    if job.honor_labels {
        // an empty label of the body wins too: the series has no such label
        empty.iter().filter(|name| !target.value(name).is_empty()).for_each(|name| {
            builder.remove(name);
        });
    }
    if !model::relabel::process(&mut builder, job.metric_relabel.list()) {
        return Ok(None);
    }
    let labels = builder.build();
    if labels.metric_name().is_empty() {
        return Err(SampleError::Invalid("missing metric name (__name__ label)".to_owned()));
    }
    match exceeded(&labels, job) {
        Some(what) => Err(SampleError::Limit(what)),
        None => Ok(Some(labels)),
    }
}

/// Why a line fails its visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SampleError {
    /// Its labels are none.
    Invalid(String),
    /// They exceed a limit.
    Limit(String),
}

/// The target's labels are added. Where both have one, the body's is renamed to `exported_…`, or wins if `honor`.
fn add_target_labels(builder: &mut LabelsBuilder, target: &Labels, honor: bool) {
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for (name, value) in target {
        let own = builder.value(name);
        if own.is_empty() {
            builder.set(name, value);
        } else if !honor {
            conflicts.push((name.to_owned(), own.to_owned()));
            builder.set(name, value);
        }
    }
    // shortest first, so that a label that is already called exported_… is not taken for a free name
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut renamed = format!("exported_{name}");
        while !builder.value(&renamed).is_empty() {
            renamed.insert_str(0, "exported_");
        }
        builder.set(&renamed, &value);
    }
}

fn exceeded(labels: &Labels, job: &JobConfig) -> Option<String> {
    let metric = cut(labels.metric_name());
    let over = |length: usize, limit: u64| limit > 0 && length as u64 > limit;
    if over(labels.len(), job.label_limit) {
        let (count, limit) = (labels.len(), job.label_limit);
        return Some(format!("label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})"));
    }
    for (name, value) in labels {
        if over(name.len(), job.label_name_length_limit) {
            let (length, limit) = (name.len(), job.label_name_length_limit);
            return Some(format!(
                "label_name_length_limit exceeded (metric: {metric}, label name: {}, length: {length}, limit: {limit})",
                cut(name)
            ));
        }
        if over(value.len(), job.label_value_length_limit) {
            let (length, limit) = (value.len(), job.label_value_length_limit);
            return Some(format!(
                "label_value_length_limit exceeded (metric: {metric}, label name: {}, value: {}, length: {length}, \
                 limit: {limit})",
                cut(name),
                quote(cut(value))
            ));
        }
    }
    None
}

/// At most fifty characters.
fn cut(text: &str) -> &str {
    text.char_indices().nth(50).map_or(text, |(end, _)| &text[..end])
}
