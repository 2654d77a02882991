//! The world behind one door: clock, disk, maps, logs, CPU pool, self-metrics, shutdown.
//!
//! Everything outside this crate (and `net` for sockets) can run against a simulated world.

pub mod buffer;
pub mod cancel;
pub mod clock;
pub mod cpu;
pub mod disk;
pub mod flags;
pub mod glob;
pub mod instrument;
pub mod limit;
pub mod listening;
pub mod log;
pub mod logging;
pub mod mmap;
pub mod shutdown;
pub mod target_channel;
pub mod ticket;
