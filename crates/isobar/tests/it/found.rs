//! A service is found, shown, and noticed when it dies: `show discovery` with its limits as assertions.

use crate::binary;
use std::time::Duration;
use testkit::harness::place::{self, Scratch};
use testkit::harness::python;
use testkit::show::{discovery, registry_kill9};

#[test]
fn a_registered_exporter_is_queryable_and_its_death_noticed() {
    const NAME: &str = "a_registered_exporter_is_queryable_and_its_death_noticed";
    let Some(exporter) = place::peer("node-exporter") else {
        return place::skip(NAME, "the original node exporter is not to be had (ISOBAR_PEERS)");
    };
    let python = match python::with_consul() {
        Ok(python) => python,
        Err(error) => return place::skip(NAME, &format!("{error:#}")),
    };
    let folder = Scratch::new("discovery").expect("a folder");
    let times = discovery::trial(&binary(), folder.path(), &python, &exporter[0]).expect("all of it happens");
    assert!(times.queryable <= Duration::from_secs(3), "{times:?}");
    assert!(times.critical <= Duration::from_secs(3), "the check's interval is 2 s: {times:?}");
    assert!(times.pasted <= Duration::from_secs(3), "{times:?}");
}

#[test]
fn registrations_survive_a_kill_right_after_the_last_answer() {
    let folder = Scratch::new("registry-kill").expect("a folder");
    let outcome = registry_kill9::trial(&binary(), folder.path(), 10).expect("checks run and targets are scraped");
    assert_eq!(outcome.back, 10, "{outcome:?}");
}
