//! Buffers lent to visits: as many as visits run at once, not as many as there are targets.
//!
//! Limits: [`KEPT`] buffers are kept, none of more than [`KEPT_BYTES`]; after a larger one the heap is trimmed, so that one
//! huge body does not stay in the process' memory.

use crate::recorder::Scratch;
use crate::target::lock;
use runtime::limit::HeapTrim;
use std::sync::{Arc, Mutex};

/// How many buffers wait for the next visits.
const KEPT: usize = 8;
/// How large a kept buffer may be.
const KEPT_BYTES: usize = 2 << 20;

/// The shared stack of buffers; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    stack: Arc<Mutex<Vec<Scratch>>>,
    trim: HeapTrim,
}

impl Buffers {
    pub(crate) fn new(trim: HeapTrim) -> Self {
        Buffers { stack: Arc::default(), trim }
    }

    pub(crate) fn take(&self) -> Scratch {
        lock(&self.stack).pop().unwrap_or_default()
    }

    pub(crate) fn give(&self, mut scratch: Scratch) {
        if scratch.capacity() > KEPT_BYTES {
            drop(scratch);
            self.trim.trim();
            return;
        }
        scratch.body.clear();
        let mut stack = lock(&self.stack);
        if stack.len() < KEPT {
            stack.push(scratch);
        }
    }
}
