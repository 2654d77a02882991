//! Nanoseconds a sample to append to and to decode XOR chunks of 120 samples. Run: `cargo bench -p chunk --bench xor`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use chunk::{OpenXor, xor};
use std::hint::black_box;
use std::time::Instant;

const SERIES: usize = 1000;
const SAMPLES: usize = 120;
const ROUNDS: usize = 20;

fn main() {
    measure("constant", |_, _| 1.0);
    measure("counter", |series, n| (series * 7 + n * 15) as f64);
    measure("jittered counter", |series, n| (n * 15 + (n * 2_654_435_761 + series) % 11) as f64);
    measure("gauge", |series, n| ((series * 31 + n * 2_654_435_761) % 1_000_003) as f64 / 1000.0);
}

fn measure(name: &str, value: impl Fn(usize, usize) -> f64) {
    let input: Vec<Vec<(i64, f64)>> = (0..SERIES)
        .map(|series| (0..SAMPLES).map(|n| (1_700_000_000_000 + n as i64 * 15_000, value(series, n))).collect())
        .collect();
    let samples = (SERIES * SAMPLES * ROUNDS) as f64;
    let started = Instant::now();
    let mut chunks = Vec::new();
    for _ in 0..ROUNDS {
        chunks = input
            .iter()
            .map(|of| {
                let mut open = OpenXor::new();
                for (at, value) in of {
                    open.append(*at, *value).unwrap();
                }
                open.into_bytes()
            })
            .collect();
    }
    let append = started.elapsed().as_nanos() as f64 / samples;
    let bytes = chunks.iter().map(Vec::len).sum::<usize>() as f64 / (SERIES * SAMPLES) as f64;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for _ in 0..ROUNDS {
        for chunk in &chunks {
            times.clear();
            values.clear();
            xor::decode_into(black_box(chunk), &mut times, &mut values).unwrap();
            black_box((&times, &values));
        }
    }
    let decode = started.elapsed().as_nanos() as f64 / samples;
    println!("{name:18} {bytes:5.2} B/sample  append {append:5.2} ns  decode {decode:5.2} ns");
}
