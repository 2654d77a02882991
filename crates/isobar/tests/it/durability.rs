//! Two kills of the server, one inside a block cut. Ten, with longer blocks and the originals as judges: `show kill9`.

use crate::binary;
use std::time::Duration;
use testkit::harness::kill::{Survey, Trial};
use testkit::harness::machine::now_ms;
use testkit::harness::place::{Scratch, blocks};

#[test]
fn a_killed_server_keeps_whole_scrapes() {
    let folder = Scratch::new("kill").expect("a folder");
    let mut trial = Trial::start(&binary(), folder.path(), 10, 50, "10s", now_ms()).expect("it starts");
    let first = trial.kill_after(Duration::from_millis(3700)).expect("it runs until killed");
    assert!(first.visits >= 20, "ten targets at 1 s: {first:?}");
    trial.restart().expect("it comes back");
    nothing_missing(&trial.survey(trial.epoch_ms()).expect("it answers"));
    let second = trial.kill_in_cut(Duration::ZERO, Duration::from_secs(60)).expect("a block is cut");
    trial.restart().expect("it comes back");
    nothing_missing(&trial.survey(trial.epoch_ms()).expect("it answers"));
    assert!(second.visits >= 100, "the first cut comes after 15 s: {second:?}");
    // and the cut is made up for
    let cut = || (!blocks(&trial.data).is_empty()).then_some(());
    testkit::harness::process::wait_for("a finished block", Duration::from_secs(30), cut).expect("a block");
    nothing_missing(&trial.survey(trial.epoch_ms()).expect("it answers"));
}

fn nothing_missing(survey: &Survey) {
    assert!(survey.scrapes > 0, "scrapes are there");
    assert!(survey.lost.is_empty(), "lost: {:#?}", survey.lost);
    assert!(survey.torn.is_empty(), "torn: {:#?}", survey.torn);
}
