//! Random histories: the same requests to our registry and to the original, the same answers.
//!
//! ```text
//! seed ─► history (registrations, checks, reports, maintenance, other nodes, faults, reads, waiting reads)
//!           ├─► Consul 1.8.7  ─┐
//!           └─► our registry  ─┴─► status, headers, body, index, wake-up compared after each step
//! ```
//!
//! The original's agent tells its catalog a few milliseconds later: a read that differs is asked again for up to
//! [`PATIENCE`]. Checks never run by themselves (TTLs longer than a history), so that every change is ours.
//! A service that gets another name moves: the original does not tell those who watch the old name as long as it has other
//! instances, ours does. So every second history has no renames and compares indexes and wake-ups, the others do not.
//! What is volatile, and where ours follows newer versions, is in `answer`; everything else must be equal.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own clock")]

mod answer;
mod history;

use self::answer::{Differs, compare, template};
use self::history::{Request, Step};
use super::Run;
use crate::harness::dice::Dice;
use crate::harness::http::{Answer, Client};
use crate::harness::isobar::{self, Launch, Role};
use crate::harness::place;
use crate::harness::process::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the original may take until its catalog says what its agent was told.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long a waiting read waits; twice what a wake-up takes on a busy machine.
const WAIT: Duration = Duration::from_millis(400);
/// Histories of a whole run, and how many are one step of it.
const HISTORIES: u64 = 200;
const AT_ONCE: u64 = 10;
/// Steps of a history.
const STEPS: usize = 120;
/// A history ends at this many differences: what follows comes of them.
const ENOUGH: usize = 3;
/// How many of the last writes are told with a difference.
const TRAIL: usize = 60;

/// What playing found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Requests compared.
    pub compared: usize,
    /// Waiting reads compared.
    pub waited: usize,
    /// Where ours differs, in the order met.
    pub differences: Vec<String>,
}

pub(super) fn run(run: &mut Run) -> Result<()> {
    let mut pair = None;
    let first = std::env::var("ISOBAR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let (mut compared, mut waited, mut differences) = (0, 0, 0);
    for from in (0..HISTORIES).step_by(AT_ONCE as usize) {
        let left = run.step(&format!("histories {} to {}", first + from, first + from + AT_ONCE - 1), |run| {
            if pair.is_none() {
                pair = Some(Pair::start(&place::binary()?, &run.fresh_folder("pair")?)?);
            }
            let pair = pair.as_mut().context("just made")?;
            let mut found = Found::default();
            for seed in first + from..first + from + AT_ONCE {
                pair.play(seed, STEPS, None, &mut found)?;
            }
            found.differences.iter().for_each(|difference| run.say(difference));
            kinds(&found.differences).iter().for_each(|(kind, times)| run.say(&format!("{times} × {kind}")));
            Ok(json!({ "compared": found.compared, "waited": found.waited, "differences": found.differences }))
        })?;
        compared += left["compared"].as_u64().unwrap_or(0);
        waited += left["waited"].as_u64().unwrap_or(0);
        differences += left["differences"].as_array().map_or(0, Vec::len);
    }
    run.note("histories", HISTORIES.to_string());
    run.at_least("requests compared", compared as f64, "", 1000.0);
    run.at_least("waiting reads compared", waited as f64, "", 100.0);
    run.figure("differences", differences.to_string(), "0", differences == 0);
    Ok(())
}

/// Plays histories from `seed` on until `limit`.
///
/// # Errors
/// When one of the two does not start or answer.
pub fn trial(binary: &Path, folder: &Path, seed: u64, limit: Duration) -> Result<Found> {
    let mut pair = Pair::start(binary, folder)?;
    let end = Instant::now() + limit;
    let mut found = Found::default();
    let mut seed = seed;
    while Instant::now() < end {
        pair.play(seed, STEPS, Some(end), &mut found)?;
        seed += 1;
    }
    Ok(found)
}

/// The original and ours, side by side.
struct Pair {
    ours: Side,
    theirs: Side,
    /// Whether the history in play gives services other names.
    renames: bool,
}

struct Side {
    role: Role,
    client: Client,
    /// The id of its own node, which is random.
    node_id: String,
}

impl Side {
    fn start(launch: Launch) -> Result<Self> {
        let role = launch.start()?;
        let mut client = Client::new(role.port).with_timeout(Duration::from_secs(10));
        let leader = |client: &mut Client| {
            let nodes = client.get("/v1/catalog/nodes").ok()?.json().ok()?;
            (!nodes.as_array()?.is_empty()).then_some(())
        };
        wait_for("a leader with its own node", Duration::from_secs(20), || leader(&mut client))?;
        let own = client.get("/v1/agent/self")?.json()?;
        let node_id = own["Config"]["NodeID"].as_str().context("no node id")?.to_owned();
        Ok(Side { role, client, node_id })
    }

    fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.client.request(request.method, &request.path, &[], &request.body)
    }

    /// Takes away whatever a history left.
    fn clear(&mut self) -> Result<()> {
        let put = |client: &mut Client, path: String| client.request("PUT", &path, &[], b"");
        let keys = |value: Value| -> Vec<String> {
            value.as_object().into_iter().flatten().map(|(key, _)| crate::harness::http::encode(key)).collect()
        };
        for id in keys(self.client.get("/v1/agent/services")?.json()?) {
            put(&mut self.client, format!("/v1/agent/service/deregister/{id}"))?;
        }
        for id in keys(self.client.get("/v1/agent/checks")?.json()?) {
            put(&mut self.client, format!("/v1/agent/check/deregister/{id}"))?;
        }
        put(&mut self.client, "/v1/agent/maintenance?enable=false".to_owned())?;
        let nodes = self.client.get("/v1/catalog/nodes")?.json()?;
        for node in nodes.as_array().into_iter().flatten().filter_map(|node| node["Node"].as_str()) {
            if node != "node1" {
                self.client.put_json("/v1/catalog/deregister", &json!({ "Node": node }))?;
            }
        }
        let client = &mut self.client;
        let empty = || {
            let checks = client.get("/v1/health/state/any").ok()?.json().ok()?;
            let services = client.get("/v1/catalog/services").ok()?.json().ok()?;
            (checks.as_array()?.len() == 1 && services.as_object()?.len() == 1).then_some(())
        };
        wait_for("an empty catalog", Duration::from_secs(10), empty)?;
        Ok(())
    }
}

/// What a read said last, on both sides.
struct Seen {
    ours: u64,
    theirs: u64,
    body: Value,
}

impl Pair {
    fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let own = ["-node=node1", "-node-meta=rack:r1", "-node-meta=az:z1"];
        let ours = Side::start(isobar::registry(binary, &folder.join("ours"))?.with(own))?;
        let consul = place::original("consul")?;
        let port = place::free_port()?;
        let ports = ["-serf-lan-port", "-serf-wan-port", "-server-port"];
        let launch = Launch::new("consul", &consul, &folder.join("theirs"), port, "/v1/status/leader")
            .with([
                "agent",
                "-dev",
                "-bind=127.0.0.1",
                "-client=127.0.0.1",
                "-dns-port=-1",
                "-grpc-port=-1",
                "-log-level=err",
            ])
            .with(own)
            .with([format!("-http-port={port}")])
            .with(ports.iter().map(|flag| Ok(format!("{flag}={}", place::free_port()?))).collect::<Result<Vec<_>>>()?);
        Ok(Pair { ours, theirs: Side::start(launch)?, renames: false })
    }

    /// One history; differences are added to `found`.
    fn play(&mut self, seed: u64, steps: usize, end: Option<Instant>, found: &mut Found) -> Result<()> {
        self.ours.clear()?;
        self.theirs.clear()?;
        self.renames = seed.is_multiple_of(2);
        let mut dice = Dice::new(seed);
        let mut seen: HashMap<String, Seen> = HashMap::new();
        let mut trail: Vec<String> = Vec::new();
        let before = found.differences.len();
        for at in 0..steps {
            if end.is_some_and(|end| Instant::now() > end) || found.differences.len() >= before + ENOUGH {
                return Ok(());
            }
            let step = history::step(&mut dice, self.renames);
            let mut differs = Vec::new();
            match &step {
                Step::Write(request) => {
                    self.both(request, &mut differs)?;
                    trail.push(short(request));
                    found.compared += 1;
                }
                Step::Read(request) => {
                    self.read(request, &mut seen, &mut differs)?;
                    found.compared += 1;
                }
                Step::Watch(read, write) => {
                    self.watch(read, write, &mut seen, &mut differs)?;
                    trail.push(short(write));
                    found.compared += 3;
                    found.waited += 1;
                }
            }
            ensure!(
                self.ours.role.process.try_wait()?.is_none(),
                "our registry ended at step {at} of seed {seed}: {step:?}"
            );
            if let Some(Differs { what, ours, theirs }) = differs.into_iter().next() {
                let last = trail.iter().rev().take(TRAIL).rev().cloned().collect::<Vec<_>>().join("\n      ");
                let asked = match &step {
                    Step::Write(request) | Step::Read(request) => short(request),
                    Step::Watch(read, write) => format!("{} while {}", short(read), short(write)),
                };
                found.differences.push(format!(
                    "seed {seed} step {at}: [{}] {what}\n    {asked}\n    ours   {ours}\n    theirs {theirs}\n    after {last}",
                    template(&asked)
                ));
            }
        }
        Ok(())
    }

    /// The same write on both.
    fn both(&mut self, request: &Request, differs: &mut Vec<Differs>) -> Result<()> {
        let theirs = self.theirs.ask(request)?;
        let ours = self.ours.ask(request)?;
        differs.extend(self.compare(request, &ours, &theirs).0);
        Ok(())
    }

    fn compare(&self, request: &Request, ours: &Answer, theirs: &Answer) -> (Vec<Differs>, Value) {
        let ids = (self.ours.node_id.as_str(), self.theirs.node_id.as_str());
        compare(request, ours, theirs, ids, !self.renames)
    }

    /// The same read on both, until they agree or the patience ends; then what the index did since the last time.
    fn read(&mut self, request: &Request, seen: &mut HashMap<String, Seen>, differs: &mut Vec<Differs>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let (ours, theirs, body) = loop {
            let theirs = self.theirs.ask(request)?;
            let ours = self.ours.ask(request)?;
            let (found, body) = self.compare(request, &ours, &theirs);
            if found.is_empty() {
                break (ours, theirs, body);
            }
            if Instant::now() > end {
                differs.extend(found);
                return Ok(());
            }
            sleep(Duration::from_millis(15));
        };
        if request.method == "GET" && ours.status == 200 && !self.renames {
            self.index(request, &ours, &theirs, body, seen, differs);
        }
        Ok(())
    }

    fn index(
        &self,
        request: &Request,
        ours: &Answer,
        theirs: &Answer,
        body: Value,
        seen: &mut HashMap<String, Seen>,
        differs: &mut Vec<Differs>,
    ) {
        let number = |answer: &Answer| answer.header("x-consul-index").and_then(|text| text.parse::<u64>().ok());
        let (Some(our_index), Some(their_index)) = (number(ours), number(theirs)) else { return };
        let now = Seen { ours: our_index, theirs: their_index, body };
        if let Some(last) = seen.get(&request.path) {
            let what = if now.ours < last.ours && now.theirs >= last.theirs {
                Some("the index goes backwards")
            } else if now.body != last.body && now.ours <= last.ours && now.theirs > last.theirs {
                Some("the answer changed, the index did not grow")
            } else if now.body == last.body && now.ours > last.ours && now.theirs == last.theirs {
                Some("the index grows although nothing that is asked changed")
            } else {
                None
            };
            let numbers = |before: u64, after: u64| format!("index {before}, then {after}");
            differs.extend(what.map(|what| Differs {
                what: what.to_owned(),
                ours: numbers(last.ours, now.ours),
                theirs: numbers(last.theirs, now.theirs),
            }));
        }
        seen.insert(request.path.clone(), now);
    }

    /// A read that waits on both while the same is written on both.
    fn watch(
        &mut self,
        read: &Request,
        write: &Request,
        seen: &mut HashMap<String, Seen>,
        differs: &mut Vec<Differs>,
    ) -> Result<()> {
        self.read(read, seen, differs)?;
        let Some(last) = seen.get(&read.path).filter(|_| differs.is_empty()) else {
            return self.both(write, differs);
        };
        // what the original tells its catalog late must not wake anybody
        sleep(Duration::from_millis(30));
        let before = last.body.clone();
        let waiting = |side: &mut Side| -> Result<std::thread::JoinHandle<Result<(Answer, Duration)>>> {
            let index = side.ask(read)?.header("x-consul-index").unwrap_or("1").to_owned();
            let joint = if read.path.contains('?') { '&' } else { '?' };
            let path = format!("{}{joint}index={index}&wait={}ms", read.path, WAIT.as_millis());
            let port = side.role.port;
            Ok(std::thread::spawn(move || {
                let began = Instant::now();
                let answer = Client::new(port).get(&path)?;
                Ok((answer, began.elapsed()))
            }))
        };
        let (our_wait, their_wait) = (waiting(&mut self.ours)?, waiting(&mut self.theirs)?);
        sleep(Duration::from_millis(40));
        self.both(write, differs)?;
        let ended = |wait: std::thread::JoinHandle<Result<(Answer, Duration)>>| {
            wait.join().map_err(|_| anyhow::anyhow!("a waiting read panicked"))?
        };
        let ((ours, our_time), (theirs, their_time)) = (ended(our_wait)?, ended(their_wait)?);
        let (our_woke, their_woke) = (our_time < WAIT, their_time < WAIT);
        let (found, after) = self.compare(read, &ours, &theirs);
        let changed = after != before;
        // a node's metadata may change what is asked: ours looks, theirs misses that; an instance without the tag may get
        // it: ours looks at every instance of the name, theirs at those that have it
        let by_meta = read.path.starts_with("/v1/catalog/services") && read.path.contains("node-meta=");
        let looks_further = our_woke && (by_meta || read.path.contains("tag="));
        // theirs may wake for nothing; ours must wake whenever there is something to tell
        let allowed = self.renames || (!changed && (their_woke || looks_further));
        if our_woke != their_woke && !allowed {
            differs.push(Differs {
                what: "woken differently".to_owned(),
                ours: format!("{our_time:?}"),
                theirs: format!("{their_time:?}, the answer {}", if changed { "changed" } else { "is the same" }),
            });
        } else if !our_woke && !their_woke {
            differs.extend(found);
        }
        Ok(())
    }
}

fn short(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    format!("{} {} {}", request.method, request.path, body)
}

/// How often each kind of difference was met, for a summary.
pub fn kinds(differences: &[String]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for difference in differences {
        let kind = difference.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, kind)| kind);
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}
