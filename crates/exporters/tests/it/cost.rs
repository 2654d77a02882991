//! What a scrape costs beside the original with the same collectors.
//!
//! `ISOBAR_COST` is the command that starts ours, built for release: `target/release/isobar exporter node`.

use crate::live::{Original, get, same_flags};

const SCRAPES: u64 = 1000;

#[test]
fn a_scrape_costs_a_quarter_of_the_originals_at_most() {
    const TEST: &str = "a_scrape_costs_a_quarter_of_the_originals_at_most";
    let Ok(command) = std::env::var("ISOBAR_COST") else {
        println!("SKIP {TEST}: ISOBAR_COST names no release build to measure");
        return;
    };
    let mut words = command.split_whitespace().map(str::to_owned);
    let program = words.next().expect("a command");
    let flags = same_flags();
    let Some(original) = Original::start(TEST, 22_919, &flags) else { return };
    let ours = Original::run(&program, 22_921, &words.chain(flags).collect::<Vec<_>>());
    let cost = |exporter: &Original, port| {
        let before = exporter.ticks();
        for _ in 0..SCRAPES {
            get(port, "/metrics").expect("an answer");
        }
        (exporter.ticks() - before) * 10_000 / SCRAPES
    };
    let (theirs, own) = (cost(&original, 22_919), cost(&ours, 22_921));
    println!("CPU per scrape: the original {theirs} µs, ours {own} µs");
    assert!(own * 4 <= theirs, "the original {theirs} µs, ours {own} µs");
}
