//! The engine from outside: upstream's scripts, recorded answers, properties.

mod answers;
mod conformance;
mod promqltest;
mod properties;
