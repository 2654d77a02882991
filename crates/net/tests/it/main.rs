//! The server and the client over real sockets, on loopback.
#![expect(clippy::disallowed_methods, reason = "the tests speak to the server through sockets of their own")]

mod client;
mod crowd;
mod peer;
mod server;
