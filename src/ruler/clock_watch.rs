//! Notices that the wall clock jumped, once for all groups.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::clock::Clock;

/// How often the two clocks are compared.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A wall clock that moves by more than this beyond the time that passed has jumped; slewing stays far below.
const JUMP_MIN: Duration = Duration::from_millis(1500);

/// Compares the wall clock with the time that passes; every jump is logged, counted, and changes the watched number, so
/// that those who wait for a slot look at the clock again.
pub(crate) async fn watch_clock(clock: Arc<dyn Clock>, jumps: watch::Sender<u64>, counter: prometheus::IntCounter) {
    let (mut wall, mut monotonic) = (clock.now(), Instant::now());
    while !jumps.is_closed() {
        tokio::time::sleep(LOOK_EVERY).await;
        let passed = monotonic.elapsed();
        let now = clock.now();
        let moved_millis = now.as_millis() - wall.as_millis();
        let jump_millis = moved_millis - i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        if jump_millis.unsigned_abs() > JUMP_MIN.as_millis() as u64 {
            warn!(jump_seconds = jump_millis as f64 / 1000.0, "the clock jumped: slots are counted from the new time");
            counter.inc();
            jumps.send_modify(|count| *count += 1);
        }
        (wall, monotonic) = (now, Instant::now());
    }
}
