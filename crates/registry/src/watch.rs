//! Who waits for what: blocking queries by the keys they look at.
//!
//! A query is evaluated and its waiter made under the same lock as every write, so no change falls between. A write
//! wakes exactly the waiters of the keys it touched; each then evaluates again. A waiter costs one entry per key and one
//! `Notify` (about 200 bytes).

use crate::catalog::Key;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// All waiters by key. Guarded by the store's lock.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    waiting: HashMap<Key, HashMap<u64, Arc<Notify>>>,
    next: u64,
}

/// One registration; to be given back with [`Watches::remove`].
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) number: u64,
    pub(crate) keys: Vec<Key>,
    pub(crate) woken: Arc<Notify>,
}

impl Watches {
    pub(crate) fn add(&mut self, keys: Vec<Key>) -> Waiter {
        self.next += 1;
        let waiter = Waiter { number: self.next, keys, woken: Arc::new(Notify::new()) };
        for key in &waiter.keys {
            self.waiting.entry(key.clone()).or_default().insert(waiter.number, Arc::clone(&waiter.woken));
        }
        waiter
    }

    pub(crate) fn remove(&mut self, number: u64, keys: &[Key]) {
        for key in keys {
            if let Some(waiters) = self.waiting.get_mut(key) {
                waiters.remove(&number);
                if waiters.is_empty() {
                    self.waiting.remove(key);
                }
            }
        }
    }

    pub(crate) fn wake(&self, touched: &HashSet<Key>) {
        for waiters in touched.iter().filter_map(|key| self.waiting.get(key)) {
            for woken in waiters.values() {
                woken.notify_one();
            }
        }
    }
}
