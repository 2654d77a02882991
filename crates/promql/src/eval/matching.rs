//! Matching: which series of one side meet which of the other, found once per operation.

use super::column::Series;
use crate::syntax::ast::Matching;
use model::Labels;
use model::labels::METRIC_NAME;

/// Series that match each other.
#[derive(Debug, Default)]
pub(crate) struct MatchGroup {
    pub(crate) left: Vec<usize>,
    pub(crate) right: Vec<usize>,
}

/// The labels that two series must have in common to match.
pub(crate) fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on { labels.retain(listed) } else { labels.retain(|name| name != METRIC_NAME && !listed(name)) }
}

/// Groups both sides by signature, in order of first appearance.
pub(crate) fn match_groups(left: &[Series], right: &[Series], matching: &Matching) -> Vec<MatchGroup> {
    let mut known: hashbrown::HashMap<Labels, usize, foldhash::fast::RandomState> = hashbrown::HashMap::default();
    let mut groups: Vec<MatchGroup> = Vec::new();
    let mut group_of = |labels: &Labels, groups: &mut Vec<MatchGroup>| {
        *known.entry(signature(labels, matching)).or_insert_with(|| {
            groups.push(MatchGroup::default());
            groups.len() - 1
        })
    };
    for (at, series) in left.iter().enumerate() {
        let group = group_of(&series.labels, &mut groups);
        groups[group].left.push(at);
    }
    for (at, series) in right.iter().enumerate() {
        let group = group_of(&series.labels, &mut groups);
        groups[group].right.push(at);
    }
    groups
}
