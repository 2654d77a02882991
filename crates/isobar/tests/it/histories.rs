//! Random histories against the original's registry: `show random-histories` for a few seconds, from a fixed seed.

use crate::binary;
use std::time::Duration;
use testkit::harness::place::{self, Scratch};
use testkit::show::random_histories;

/// How long it plays.
const LIMIT: Duration = Duration::from_secs(8);

#[test]
fn random_histories_are_answered_as_by_the_original() {
    const NAME: &str = "random_histories_are_answered_as_by_the_original";
    if place::peer("consul").is_none() {
        return place::skip(NAME, "the original registry is not to be had (ISOBAR_PEERS)");
    }
    let folder = Scratch::new("histories").expect("a folder");
    let found = random_histories::trial(&binary(), folder.path(), 1000, LIMIT).expect("both answer");
    assert!(found.compared > 50, "{found:?}");
    assert!(found.differences.is_empty(), "{}", found.differences.join("\n"));
}
