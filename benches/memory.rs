//! What one active alert takes of memory, told by the system: resident memory with so many alerts, and with twice as many.
//!
//! Run with `cargo bench --bench memory`. Not a bench of criterion's: it prints one table. Linux only.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::fs;
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
    if let [_, size, alerts] = &arguments[..]
        && size == "--alerts"
    {
        let measured = measure(alerts.parse().expect("a number of alerts"));
        println!("{} {} {} {}", measured.0, measured.1, measured.2, measured.3);
        return;
    }
    if fs::metadata("/proc/self/status").is_err() {
        println!("skipped: /proc/self/status is not there");
        return;
    }
    println!(
        "{:>8}  {:>12}  {:>12}  {:>14}  {:>12}",
        "alerts", "held KiB", "each, bytes", "peak of a tick", "labels each"
    );
    for alerts in [50_000, 100_000, 200_000] {
        let program = std::env::current_exe().expect("this program has a path");
        let run = std::process::Command::new(program).args(["--alerts", &alerts.to_string()]).output();
        let text = String::from_utf8(run.expect("it runs").stdout).expect("numbers");
        let numbers: Vec<usize> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [empty, held, peak, labels] = numbers[..] else { panic!("four numbers, not {text:?}") };
        let each = (held - empty) * 1024 / alerts;
        println!("{alerts:>8}  {:>12}  {each:>12}  {:>10} KiB  {labels:>12}", held - empty, peak - held);
    }
}

/// Resident KiB without and with the alerts, at the peak of an evaluation that changes nothing, and bytes of labels.
fn measure(alerts: usize) -> (usize, usize, usize, usize) {
    let (group, settings) = (group(RULE), Arc::new(settings()));
    let mut state = GroupState::new(&group, &settings, false);
    let empty = status("VmRSS");
    let mut at = Timestamp::from_seconds(1_700_000_000);
    for _ in 0..3 {
        (state, _) = tick(&group, &settings, state, at, samples(alerts, 0.0).into());
        at = at + MINUTE;
    }
    let labels: usize = state.rules[0].active().map(|alert| alert.labels.heap_bytes()).sum();
    let held = status("VmRSS");
    let answer = samples(alerts, 0.0).into();
    // Forgets the peak so far.
    fs::write("/proc/self/clear_refs", "5").expect("the system forgets");
    let outcome = tick(&group, &settings, state, at, answer);
    let peak = status("VmHWM");
    drop(outcome);
    (empty, held, peak, labels / alerts)
}

fn status(what: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = text.lines().find(|line| line.starts_with(what)).expect("it tells this");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}
