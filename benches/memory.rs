//! What one active alert takes of memory, as the state counts it and as the system tells it.
//!
//! Run with `cargo bench --bench memory`. Not a bench of criterion's: it prints one table. Linux only.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bellwether::evaluation::GroupState;
use bellwether::model::Timestamp;
use common::{group, samples, settings, tick};

mod common;

const MINUTE: Duration = Duration::from_secs(60);
const RULE: &str =
    "{alert: A, expr: up, annotations: {summary: '{{ $labels.instance }} is at {{ $value | humanize }}'}}";

/// Each size in a process of its own, so that what one leaves behind is not counted for the next.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, only, alerts] = &arguments[..]
        && only == "--alerts"
    {
        let Measured { empty, held, peak, state } = measure(alerts.parse().expect("a number of alerts"));
        println!("{empty} {held} {peak} {state}");
        return;
    }
    if fs::metadata("/proc/self/status").is_err() {
        println!("skipped: /proc/self/status is not there");
        return;
    }
    println!("bytes for each alert");
    println!("  alerts   state   resident between two ticks   more at the peak of a tick");
    for alerts in [50_000, 100_000, 200_000] {
        let program = std::env::current_exe().expect("this program has a path");
        let run = Command::new(program).args(["--alerts", &alerts.to_string()]).output().expect("it runs");
        let text = String::from_utf8(run.stdout).expect("numbers");
        let numbers: Vec<usize> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [empty, held, peak, state] = numbers[..] else { panic!("four numbers, not {text:?}") };
        let each = |kib: usize| kib * 1024 / alerts;
        println!("{alerts:>8}  {:>6}  {:>27}  {:>27}", state / alerts, each(held - empty), each(peak - held));
    }
}

struct Measured {
    /// Resident KiB without alerts.
    empty: usize,
    /// And with them, after three evaluations; what the allocator keeps for itself is in it.
    held: usize,
    /// And at the peak of a fourth, which changes nothing, its answer included.
    peak: usize,
    /// Bytes that the state says it holds.
    state: usize,
}

fn measure(alerts: usize) -> Measured {
    let (group, settings) = (group(RULE), Arc::new(settings()));
    let mut state = GroupState::new(&group, &settings, false);
    let empty = status("VmRSS");
    let mut at = Timestamp::from_seconds(1_700_000_000);
    for _ in 0..3 {
        (state, _) = tick(&group, &settings, state, at, samples(alerts, 0.0).into());
        at = at + MINUTE;
    }
    let (held, bytes) = (status("VmRSS"), state.rules[0].alerts.heap_bytes());
    // Forgets the peak so far.
    fs::write("/proc/self/clear_refs", "5").expect("the system forgets");
    let outcome = tick(&group, &settings, state, at, samples(alerts, 0.0).into());
    let peak = status("VmHWM");
    drop(outcome);
    Measured { empty, held, peak, state: bytes }
}

fn status(what: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = text.lines().find(|line| line.starts_with(what)).expect("it tells this");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}
