//! The channel that carries what discovery found to whoever scrapes: always the full set, only the newest.
//!
//! One channel per job. A slow reader misses steps, never the end: the value is replaced, not queued, so there is nothing
//! to bound. Groups are sorted by source; a job without targets carries an empty set, which is not the same as nothing yet.

use model::TargetGroup;
use std::sync::Arc;
use tokio::sync::watch;

/// The full set of a job's groups.
pub type TargetGroups = Arc<Vec<TargetGroup>>;

/// The side that finds targets.
#[derive(Clone, Debug)]
pub struct TargetSender(watch::Sender<Option<TargetGroups>>);

/// The side that uses them; clones see every step on their own.
#[derive(Clone, Debug)]
pub struct TargetReceiver(watch::Receiver<Option<TargetGroups>>);

/// A channel nothing was sent on yet.
pub fn channel() -> (TargetSender, TargetReceiver) {
    let (sender, receiver) = watch::channel(None);
    (TargetSender(sender), TargetReceiver(receiver))
}

impl TargetSender {
    /// Replaces the set; readers are woken unless it is the same as before.
    pub fn send(&self, groups: Vec<TargetGroup>) {
        self.0.send_if_modified(|current| {
            if current.as_ref().is_some_and(|old| **old == groups) {
                return false;
            }
            *current = Some(Arc::new(groups));
            true
        });
    }
}

impl TargetReceiver {
    /// The newest set, `None` before the first.
    pub fn current(&self) -> Option<TargetGroups> {
        self.0.borrow().clone()
    }

    /// Waits for a set this receiver has not seen; `None` once the sender is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<TargetGroups> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(groups) = self.0.borrow_and_update().clone() {
                return Some(groups);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_set_arrives_and_the_same_one_does_not_wake() {
        let (sender, mut receiver) = channel();
        assert_eq!(receiver.current(), None);
        let group = |source: &str| TargetGroup { source: source.to_owned(), ..TargetGroup::default() };
        sender.send(vec![group("a")]);
        sender.send(vec![group("b")]);
        assert_eq!(receiver.next().await.expect("sent")[0].source, "b");
        sender.send(vec![group("b")]);
        drop(sender);
        assert_eq!(receiver.next().await, None, "an equal set is no news");
    }
}
