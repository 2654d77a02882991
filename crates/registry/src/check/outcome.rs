//! From the result of one run to the status of the check: some checks want several results in a row to believe a change.

use super::definition::Definition;
use crate::catalog::Status;

/// What one run said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: Status,
    pub(super) output: String,
}

/// Counts results in a row.
#[derive(Debug, Default)]
pub(super) struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    /// The status to report after a run; `None` while it is not to be believed yet.
    pub(super) fn judge(&mut self, definition: &Definition, outcome: Outcome) -> Option<Outcome> {
        if outcome.status.severity() < 2 {
            self.good = self.good.saturating_add(1);
            self.bad = 0;
            return (self.good >= definition.success_before_passing).then_some(outcome);
        }
        self.bad = self.bad.saturating_add(1);
        self.good = 0;
        if self.bad >= definition.failures_before_critical {
            return Some(outcome);
        }
        let warns = definition.failures_before_warning > 0 && self.bad >= definition.failures_before_warning;
        warns.then_some(Outcome { status: Status::Warning, output: outcome.output })
    }
}

/// The first `max` bytes of an output, whole characters.
pub(super) fn cut(mut output: String, max: usize) -> String {
    if output.len() > max {
        output.truncate(output.floor_char_boundary(max));
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Probe;
    use std::time::Duration;

    fn check(success: u32, warning: u32, critical: u32, results: &str, expected: &str) {
        let definition = Definition {
            success_before_passing: success,
            failures_before_warning: warning,
            failures_before_critical: critical,
            ..Definition::new(Probe::Ttl(Duration::ZERO))
        };
        let mut streak = Streak::default();
        let reported: String = results
            .chars()
            .map(|result| {
                let status = match result {
                    'p' => Status::Passing,
                    'w' => Status::Warning,
                    _ => Status::Critical,
                };
                let outcome = Outcome { status, output: String::new() };
                match streak.judge(&definition, outcome).map(|outcome| outcome.status) {
                    Some(Status::Passing) => 'p',
                    Some(Status::Warning) => 'w',
                    Some(_) => 'c',
                    None => '.',
                }
            })
            .collect();
        assert_eq!(reported, expected, "thresholds {success} {warning} {critical}, results {results}");
    }

    #[test]
    fn thresholds_are_counted_in_a_row() {
        check(0, 0, 0, "pcwcp", "pcwcp");
        check(3, 0, 3, "ppppccc", "..pp..c");
        check(3, 0, 3, "ppcppwccc", ".....w..c");
        check(0, 2, 4, "pccccp", "p.wwcp");
    }

    #[test]
    fn output_is_cut_between_characters() {
        assert_eq!(cut("aé".to_owned(), 2), "a");
        assert_eq!(cut("abc".to_owned(), 3), "abc");
    }
}
