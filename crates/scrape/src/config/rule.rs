//! Relabelling rules as YAML writes them.

use super::ConfigError;
use model::relabel::{Action, Rule, RuleText};
use serde::Deserialize;
use std::sync::Arc;

/// One entry of `relabel_configs` or `metric_relabel_configs`. The keys are the original's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the original's keys; their meaning stands at model::relabel::RuleText")]
pub struct RuleBlock {
    pub source_labels: Option<Vec<String>>,
    pub separator: Option<String>,
    pub target_label: Option<String>,
    pub regex: Option<String>,
    pub modulus: Option<u64>,
    pub replacement: Option<String>,
    pub action: Option<String>,
}

impl RuleBlock {
    /// Checks and compiles the rule; what is not given has the original's default.
    pub fn resolve(&self) -> Result<Rule, ConfigError> {
        let default = RuleText::default();
        let source_labels = self.source_labels.clone().unwrap_or_default();
        if source_labels.iter().any(String::is_empty) {
            return Err(ConfigError("\"\" is not a valid label name".to_owned()));
        }
        let action = match &self.action {
            Some(word) => Action::parse(word).map_err(|e| ConfigError(e.to_string()))?,
            None => default.action,
        };
        let text = RuleText {
            source_labels,
            separator: self.separator.clone().unwrap_or(default.separator),
            regex: self.regex.clone().unwrap_or(default.regex),
            modulus: self.modulus.unwrap_or(0),
            target_label: self.target_label.clone().unwrap_or_default(),
            replacement: self.replacement.clone().unwrap_or(default.replacement),
            action,
        };
        Rule::new(text).map_err(|e| ConfigError(e.to_string()))
    }
}

/// Compiled rules; equal when they were written equally.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// Compiles a list; `what` names it in the error about an empty entry.
    pub fn resolve(blocks: Option<&Vec<Option<RuleBlock>>>, what: &str) -> Result<Self, ConfigError> {
        let blocks = blocks.into_iter().flatten();
        let rules: Result<Vec<Rule>, ConfigError> = blocks
            .map(|block| match block {
                Some(block) => block.resolve(),
                None => Err(ConfigError(format!("empty or null {what} relabeling rule in scrape config"))),
            })
            .collect();
        Ok(Rules(Arc::from(rules?)))
    }

    /// The rules in order.
    pub fn as_slice(&self) -> &[Rule] {
        &self.0
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(Rule::text).eq(other.0.iter().map(Rule::text))
    }
}
