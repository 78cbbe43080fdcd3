//! Waiting by looking, not by sleeping.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use super::millis;

/// Between two looks. Short beside every interval in these tests.
const PAUSE: Duration = millis(80);

/// Looks until `probe` succeeds, and gives what it gave.
///
/// # Panics
/// After `limit`, with the last thing that `probe` said.
pub(crate) async fn eventually<T, E: Display>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(error) if Instant::now() >= deadline => {
                panic!("not within {limit:?}: {what}\n  last seen: {error}")
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Looks for all of `duration`; what it sees must succeed each time.
pub(crate) async fn hold<E: Display>(what: &str, duration: Duration, mut probe: impl AsyncFnMut() -> Result<(), E>) {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        if let Err(error) = probe().await {
            panic!("after {:?} of {duration:?}, no longer: {what}\n  seen: {error}", begin.elapsed());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
