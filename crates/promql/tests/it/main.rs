//! The engine from outside: upstream's scripts and properties.

mod conformance;
mod promqltest;
