//! The engine from outside: upstream's scripts, recorded answers, limits, properties.

mod answers;
mod conformance;
mod engine;
mod found;
mod promqltest;
mod properties;
