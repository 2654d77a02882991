//! The registry over HTTP: the recordings of the original, real checks, durability, a client we did not write.
#![expect(clippy::disallowed_methods, reason = "tests talk to the registry from outside, through plain sockets")]

mod checks;
mod client;
mod durability;
mod instance;
mod kill;
mod python;
mod replay;
