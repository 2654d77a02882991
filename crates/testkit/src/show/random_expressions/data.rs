//! The data: a hundred and fifty series over 130 minutes, shaped to meet every rule of the language, in two blocks.
//!
//! Gauges with holes, staleness markers, NaN, infinities and -0; counters with resets; classic histograms with good, bad,
//! missing, falling and doubled bounds; info metrics; odd names, labels and values; other intervals. Names differ where labels
//! do not, so that functions that drop the name collide. No native histograms, which ours does not have.
//!
//! The original writes them: remote write into an empty server, then a snapshot. Text formats have no staleness markers.

use crate::harness::dice::Dice;
use crate::harness::http::Client;
use crate::harness::isobar;
use crate::harness::place;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// When the data begin, in seconds; they last [`MINUTES`].
pub(super) const BEGIN: i64 = 1_700_000_000;
pub(super) const MINUTES: i64 = 130;

const STALE: u64 = 0x7ff0_0000_0000_0002;

struct Series {
    labels: Vec<(String, String)>,
    samples: Vec<(i64, f64)>,
}

struct Maker {
    dice: Dice,
    series: Vec<Series>,
}

impl Maker {
    /// Adds a series with a sample every `interval` ms, moved by up to `jitter`; `value` gets the dice and the sample's number.
    fn add(
        &mut self,
        labels: &[(&str, &str)],
        (interval, jitter): (i64, i64),
        mut value: impl FnMut(&mut Dice, i64) -> f64,
    ) -> &mut Series {
        let begin = BEGIN * 1000 + self.dice.roll(interval.min(15_000) as usize) as i64;
        let mut samples = Vec::new();
        for n in 0..MINUTES * 60_000 / interval {
            let moved = if jitter > 0 { self.dice.roll(jitter as usize) as i64 } else { 0 };
            samples.push((begin + n * interval + moved, value(&mut self.dice, n)));
        }
        let labels = labels.iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.series.push(Series { labels, samples });
        let at = self.series.len() - 1;
        &mut self.series[at]
    }

    /// Takes samples out of the last series, here and there; half of the holes begin with a staleness marker.
    fn holes(&mut self) {
        let Some(series) = self.series.last_mut() else { return };
        for _ in 0..self.dice.roll(4) {
            let from = self.dice.roll(series.samples.len());
            let to = (from + 1 + self.dice.roll(60)).min(series.samples.len());
            let marked = from + usize::from(self.dice.percent(50));
            if marked > from {
                series.samples[from].1 = f64::from_bits(STALE);
            }
            series.samples.drain(marked..to.max(marked));
        }
    }

    fn gauges(&mut self) {
        for (name, first, second) in [("g", "a", "b"), ("g2", "a", "b"), ("temp.é", "lab.el", "b"), ("g2", "c", "b")] {
            for one in ["1", "2", "3"] {
                for two in ["x", "y"] {
                    let odd = one != "1";
                    let mut level = self.dice.roll(20) as f64 - 10.0;
                    self.add(&[("__name__", name), (first, one), (second, two)], (15_000, 0), |dice, _| {
                        level += [0.0, 0.0, 0.0, -2.5, -0.5, 0.5, 2.0, 3.25][dice.roll(8)];
                        match dice.roll(150) {
                            0 if odd => f64::NAN,
                            1 if odd => f64::INFINITY,
                            2 if odd => f64::NEG_INFINITY,
                            3 if odd => -0.0,
                            _ => level,
                        }
                    });
                    self.holes();
                }
            }
        }
    }

    fn counters(&mut self) {
        for (name, instances) in [("c_total", &["i1", "i2"][..]), ("req_total", &["i1", "i2", "i3"])] {
            for instance in instances {
                for path in ["/", "/b"] {
                    let labels = [("__name__", name), ("instance", *instance), ("job", "j"), ("path", path)];
                    let increment = [0.1, 1.0, 3.0, 7.7][self.dice.roll(4)];
                    let (mut level, jitter) = ([0.0, 10.0, 1e6][self.dice.roll(3)], [0, 700][self.dice.roll(2)]);
                    self.add(&labels, (15_000, jitter), |dice, _| {
                        if dice.percent(2) {
                            level = [0.0, 1.0, 0.5][dice.roll(3)];
                        }
                        level += increment * dice.roll(3) as f64;
                        level
                    });
                    self.holes();
                }
            }
        }
    }

    fn histograms(&mut self) {
        let all: [(&str, &[&str]); 7] = [
            ("h", &["0.1", "0.5", "1.0", "5.0", "+Inf"]),
            ("neg", &["-1.0", "0.0", "2.0", "+Inf"]),
            ("bad", &["abc", "", "1.0", "2.0", "+Inf"]),
            ("noinf", &["1.0", "2.0"]),
            ("one", &["+Inf"]),
            ("inv", &["1.0", "2.0", "3.0", "+Inf"]),
            ("dup", &["1", "1.0", "2", "2.0", "+Inf"]),
        ];
        for (name, bounds) in all {
            for a in ["1", "2"] {
                let begin = self.dice.clone();
                let bucket = format!("{name}_bucket");
                for (at, le) in bounds.iter().enumerate() {
                    // the same dice for each bucket: counts grow together
                    self.dice = begin.clone();
                    let mut count = 0.0;
                    self.add(&[("__name__", &bucket), ("a", a), ("le", le)], (15_000, 0), |dice, n| {
                        count += (dice.roll(3) * (at + 1)) as f64;
                        if n % 97 == 96 {
                            count = 0.0;
                        }
                        let fall = if name == "inv" && at == 1 { 3.0 } else { 0.0 };
                        if count > fall { count - fall } else { 0.0 }
                    });
                }
                for suffix in ["count", "sum"] {
                    let name = format!("{name}_{suffix}");
                    self.add(&[("__name__", &name), ("a", a)], (15_000, 0), |_, n| (n % 97) as f64 * 0.7);
                }
            }
        }
    }

    fn infos(&mut self) {
        for instance in ["i1", "i2", "i3"] {
            let identity = [("instance", instance), ("job", "j")];
            let with = |name, more| [&[("__name__", name)], &identity[..], &[more]].concat();
            let rev = format!("r{instance}");
            self.add(&with("up", ("own", "u")), (15_000, 0), |dice, _| f64::from(u8::from(dice.percent(90))));
            if instance != "i3" {
                self.add(&with("build_info", ("rev", &rev)), (15_000, 0), |_, _| 1.0);
            }
            for (version, half) in [("1.0", 0), ("1.1", 1)] {
                let series = self.add(&with("target_info", ("version", version)), (15_000, 0), |_, _| 1.0);
                let middle = series.samples.len() / 2;
                let kept = if half == 0 { 0..middle } else { middle + 1..series.samples.len() };
                series.samples = series.samples[kept].to_vec();
            }
        }
    }

    fn odd_ones(&mut self) {
        self.add(&[("__name__", "const")], (15_000, 0), |_, _| 3.5);
        self.add(&[("__name__", "big"), ("s", "+")], (15_000, 0), |dice, _| 1e308 * [1.0, 0.5, -1.0][dice.roll(3)]);
        self.add(&[("__name__", "big"), ("s", "t")], (15_000, 0), |dice, _| 1e-300 * [1.0, 3.0, -1.0][dice.roll(3)]);
        self.add(&[("__name__", "frac"), ("k", "0")], (7_300, 0), |dice, _| dice.roll(1 << 20) as f64 / 1e6);
        self.add(&[("__name__", "frac"), ("k", "1")], (33_100, 0), |dice, _| dice.roll(1 << 40) as f64 / 1e6 - 5e5);
        self.add(&[("__name__", "sparse")], (400_000, 0), |dice, _| dice.roll(1000) as f64 / 7.0);
        self.add(&[("__name__", "dense")], (1_300, 0), |dice, _| dice.roll(5) as f64);
        self.add(&[("__name__", "with:colon"), ("a", "1"), ("b", "x")], (15_000, 0), |_, n| (n % 7) as f64);
        let typed = [("__name__", "typed"), ("__type__", "counter"), ("__unit__", "s")];
        self.add(&typed, (15_000, 0), |_, n| n as f64);
        for n in 0..12 {
            let (number, nan) = (n.to_string(), n > 9);
            let labels =
                [("__name__", "many"), ("n", &number), ("grp", ["a", "b"][n % 2]), ("nan", ["f", "t"][n / 10])];
            self.add(&labels, (30_000, 0), |dice, _| {
                if nan { f64::NAN } else { [1.0, 1.0, 2.0, 3.0, -1.0, 0.1, 0.2, 0.3, 1e16][dice.roll(9)] }
            });
        }
        let stamps =
            [0.0, -1.0, 951_782_399.5, 1_709_164_800.0, 1e18, -1e18, f64::NAN, f64::INFINITY, 253_402_300_800.0];
        for (n, stamp) in stamps.into_iter().enumerate() {
            self.add(&[("__name__", "stamp"), ("k", &n.to_string())], (60_000, 0), |_, _| stamp);
        }
        for (n, value) in ["a-b", "$1", "", "a\nb", "ü☃", "foo.bar:80", "\"q\"", "\\"].into_iter().enumerate() {
            self.add(&[("__name__", "lbl"), ("id", &n.to_string()), ("v", value)], (15_000, 0), |_, _| n as f64);
        }
    }
}

/// Makes the two blocks below `folder`.
pub(super) fn make(folder: &Path) -> Result<()> {
    let mut maker = Maker { dice: Dice::new(7), series: Vec::new() };
    maker.gauges();
    maker.counters();
    maker.histograms();
    maker.infos();
    maker.odd_ones();
    let middle = BEGIN + MINUTES * 30;
    for (part, from, to) in [("first", BEGIN, middle), ("second", middle, BEGIN + MINUTES * 61)] {
        let here = folder.join(part);
        let flags =
            ["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--storage.tsdb.retention.time=100y"];
        let server = isobar::prometheus(&place::original("prometheus")?, &here, "global: {}\n", &flags)?.start()?;
        let mut client = Client::new(server.port);
        // the head takes what is at most an hour older than the newest
        for begin in (from..to).step_by(600) {
            let body = snappy(&write_request(&maker.series, begin * 1000, to.min(begin + 600) * 1000));
            let headers = [("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
            let answer = client.request("POST", "/api/v1/write", &headers, &body)?;
            ensure!(answer.status == 204, "remote write: {} {}", answer.status, answer.text());
        }
        let answer = client.request("POST", "/api/v1/admin/tsdb/snapshot", &[], b"")?.json()?;
        let name = answer["data"]["name"].as_str().with_context(|| format!("no snapshot: {answer}"))?;
        place::copy_folder(&here.join("data/snapshots").join(name), &folder.join("blocks"))?;
    }
    Ok(())
}

/// `prometheus.WriteRequest`: the samples from `from` up to `to`, in ms.
fn write_request(series: &[Series], from: i64, to: i64) -> Vec<u8> {
    let mut request = Vec::new();
    for series in series {
        let mut labels: Vec<&(String, String)> = series.labels.iter().collect();
        labels.sort();
        let mut message = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut message, 1, &label);
        }
        let before = message.len();
        for (at, value) in series.samples.iter().filter(|(at, _)| (from..to).contains(at)) {
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, *at as u64);
            field(&mut message, 2, &sample);
        }
        if message.len() > before {
            field(&mut request, 1, &message);
        }
    }
    request
}

fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// Snappy's block format, all literals.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    varint(&mut block, bytes.len() as u64);
    for literal in bytes.chunks(1 << 16) {
        block.push(61 << 2);
        block.extend_from_slice(&(literal.len() as u16).wrapping_sub(1).to_le_bytes());
        block.extend_from_slice(literal);
    }
    block
}
