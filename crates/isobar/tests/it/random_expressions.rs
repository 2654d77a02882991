//! A short form of the show of the same name: random questions, the original's answers.

use testkit::harness::place::{self, Scratch};
use testkit::show::random_expressions::trial;

/// Another range of seeds than the show's.
const SEED: u64 = 1_000_000;
const REQUESTS: u64 = 4000;

#[test]
fn random_expressions_are_answered_as_the_original_answers() {
    const NAME: &str = "random_expressions_are_answered_as_the_original_answers";
    if place::peer("prometheus").is_none() {
        return place::skip(NAME, "the original \"prometheus\" is not to be had (ISOBAR_PEERS)");
    }
    let folder = Scratch::new("random-expressions").expect("a folder");
    let found = trial(&crate::binary(), folder.path(), SEED, REQUESTS).expect("both answer");
    println!("{} requests, {} answered with success, known: {:?}", found.compared, found.answered, found.known);
    assert!(found.answered > found.compared / 3, "{} of {} answered", found.answered, found.compared);
    let known: usize = found.known.values().sum();
    assert!(known * 20 < found.compared, "too many differences are taken for known: {:?}", found.known);
    assert!(found.differences.is_empty(), "{} differ:\n{}", found.differences.len(), found.differences.join("\n"));
}
