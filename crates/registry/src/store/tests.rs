//! The registry against a disk that fails: what was acknowledged is there after any start, nothing is invented.

use super::*;
use crate::catalog::{Node, Registration, Service};
use model::Timestamp;
use runtime::disk::{Disk, Fault, SimDisk};
use std::path::PathBuf;

const COMMANDS: u16 = 24;

fn config() -> Config {
    let mut config = Config { data_dir: PathBuf::from("/data"), node_name: "n1".to_owned(), ..Config::default() };
    config.limits.log_bytes_per_snapshot = 1500;
    config
}

/// Services of three nodes come and go.
fn command(n: u16) -> Command {
    let node_name = format!("node{}", n % 3);
    let node = Node { name: node_name.clone(), address: "10.0.0.1".to_owned(), ..Node::default() };
    let service =
        Service { id: format!("s{}", n % 8), name: "web".to_owned(), port: i64::from(n), ..Service::default() };
    match n % 5 {
        4 => Command::Deregister(crate::catalog::Deregistration {
            node: node_name,
            service: Some(format!("s{}", (n + 4) % 8)),
            check: None,
        }),
        _ => Command::Register(Registration {
            node_name,
            node: Some(node),
            service: Some(service),
            ..Registration::default()
        }),
    }
}

fn text(state: &State) -> String {
    serde_json::to_string(state).expect("plain data")
}

fn open(disk: &SimDisk) -> Result<Arc<Store>, LogError> {
    // small segments: one holds a few commands
    let pause = Duration::from_millis(1);
    let options = LogOptions {
        name: "registry",
        segment_bytes: 4096,
        full_disk_pause: pause,
        skip_damaged: true,
        ..LogOptions::default()
    };
    let clock = Clock::manual(Timestamp(1_700_000_000_000));
    Store::open_with(&config(), Arc::new(disk.clone()), clock, options).map(|(store, _)| store)
}

/// Proposes commands one by one until one is not taken; returns how many were acknowledged and how many were tried.
async fn run(store: &Arc<Store>, from: u16, to: u16) -> (u16, u16) {
    for n in from..to {
        match store.propose(command(n)).await {
            Ok(()) => {}
            Err(WriteError::Refused(refusal)) => panic!("{refusal}"),
            Err(_) => return (n, n + 1),
        }
        while store.snapshots.lock().running {
            tokio::task::yield_now().await;
        }
    }
    (to, to)
}

/// The states after none, one, two … commands.
fn states() -> Vec<String> {
    let mut state = State::new();
    let mut texts = vec![text(&state)];
    for n in 0..COMMANDS + 2 {
        state.apply(command(n));
        texts.push(text(&state));
    }
    texts
}

/// How many commands the store holds: its state must be the one after so many, within `possible`.
fn held(store: &Store, states: &[String], possible: std::ops::RangeInclusive<u16>, what: &str) -> u16 {
    let found = store.read(text);
    let fits = possible.clone().find(|count| states[usize::from(*count)] == found);
    fits.unwrap_or_else(|| panic!("{what}: not the state after {possible:?} commands: {found}"))
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fails(Fault),
    PowerLost,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_call_may_fail_and_power_may_be_lost_anywhere() {
    let states = states();
    let calls = {
        let disk = SimDisk::new();
        let store = open(&disk).expect("opens");
        assert_eq!(run(&store, 0, COMMANDS).await.0, COMMANDS);
        assert!(
            disk.list(std::path::Path::new("/data/log")).expect("there").iter().any(|e| e.name.starts_with("snap"))
        );
        drop(store);
        disk.calls()
    };
    assert!(calls > 60, "{calls}");
    let troubles = [
        Trouble::Fails(Fault::Io),
        Trouble::Fails(Fault::NoSpace),
        Trouble::Fails(Fault::ShortWrite),
        Trouble::PowerLost,
    ];
    for n in 0..calls {
        for trouble in troubles {
            let what = format!("call {n} of {calls}, {trouble:?}");
            let disk = SimDisk::new();
            match trouble {
                Trouble::Fails(fault) => disk.fail_call(n, fault),
                Trouble::PowerLost => disk.halt_at(n),
            }
            let (acknowledged, tried) = match open(&disk) {
                Ok(store) => run(&store, 0, COMMANDS).await,
                Err(_) => (0, 0),
            };
            disk.power_loss(n);
            let store = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            let kept = held(&store, &states, acknowledged..=tried, &what);
            drop(store);
            disk.power_loss(n + 1);
            let store = open(&disk).unwrap_or_else(|error| panic!("{what}, again: {error}"));
            held(&store, &states, kept..=kept, &format!("{what}, a second start"));
            assert_eq!(run(&store, kept, kept + 2).await, (kept + 2, kept + 2), "{what}: it goes on");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_that_fail_are_tried_again_after_longer_and_longer_pauses() {
    let disk = SimDisk::new();
    let (clock, config) = (Clock::manual(Timestamp(1_700_000_000_000)), config());
    let (store, _) = Store::open(&config, Arc::new(disk.clone()), clock.clone()).expect("opens");
    run(&store, 0, 1).await;
    disk.set_capacity(Some(0)); // the log's own room is taken already
    for n in 0..200 {
        store.propose(command(n)).await.expect("the log has room");
        while store.snapshots.lock().running {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_millis(100));
    }
    let failed = store.stats().snapshots_failed;
    assert!((2..=6).contains(&failed), "{failed} attempts in 20 s");
    disk.set_capacity(None);
    clock.advance(Duration::from_secs(60));
    run(&store, 0, 1).await;
    assert_eq!(store.stats().snapshots_failed, failed);
    assert!(store.log.stats().bytes_since_snapshot < 1500, "a snapshot was written");
}
