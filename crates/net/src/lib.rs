//! Sockets: the HTTP server every part listens with, and the HTTP client every part asks with.
//!
//! Reading order: [`server`] → [`client`] → [`form`] → [`chunks`] → [`dial`] → [`rtnetlink`].
//! What this crate must not know: what is served or asked for. Services bring their own routes; bodies are bytes here.

pub mod chunks;
pub mod client;
pub mod dial;
pub mod form;
pub mod rtnetlink;
pub mod server;
