//! One Alertmanager: its outbox, and the loop that empties it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use url::Url;

use super::json;
use super::metrics::{Metrics, Series};
use super::notifier::NotifyOptions;
use super::outbox::{Batch, Item, Outbox, Timing, Wake};
use super::send::{Answer, Pace, Urgency, Verdict, verdict};
use crate::client::{Client, SendError, header, read_bounded, redacted};
use crate::clock::Clock;
use crate::model::Timestamp;

/// The clock is looked at again after this, however far away the next re-send is: it may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(15);
/// Alertmanager answers with a line per alert that it refuses.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Of an answer, shown in logs and errors.
const ANSWER_CHARS_SHOWN: usize = 300;
/// Refused alerts of one batch that are logged one by one; the rest is a number.
const REFUSED_LOGGED_MAX: usize = 10;
/// A peer that has refused this often in a row, even a request without alerts, is not one that judges alerts.
const UNPROVEN_REFUSALS_MAX: usize = 32;

/// How an Alertmanager is reached; may change under a running loop.
pub(super) struct Link {
    pub(super) client: Arc<Client>,
    pub(super) timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Running,
    /// Deliver what is owed, then end; end at this moment in any case.
    Draining {
        until: Instant,
    },
}

pub(super) struct Alertmanager {
    pub(super) url: Url,
    /// The URL without secrets: in metrics, logs and the API.
    pub(super) name: String,
    pub(super) outbox: Mutex<Outbox>,
    link: Mutex<Arc<Link>>,
    wake: Notify,
    phase: watch::Sender<Phase>,
    health: Mutex<Health>,
    series: Series,
}

#[derive(Clone, Debug, Default)]
struct Health {
    last_error: Option<String>,
    last_success_at: Option<Timestamp>,
    failures: u64,
}

/// One Alertmanager as the API and the page show it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerStatus {
    /// Without user, password and query.
    pub url: String,
    /// Alerts whose newest state it has not accepted.
    pub undelivered: usize,
    /// Alerts it does not take as they are.
    pub refused: usize,
    /// None since the last success.
    pub last_error: Option<String>,
    pub last_success_at: Option<Timestamp>,
}

/// What a drain came to at one Alertmanager.
#[derive(Clone, Debug, PartialEq)]
pub struct Drained {
    pub url: String,
    /// Alerts accepted since the drain began.
    pub delivered: usize,
    /// Alerts still undelivered at its end.
    pub left: usize,
}

impl Alertmanager {
    pub(super) fn new(url: Url, link: Arc<Link>, options: &NotifyOptions, metrics: &Metrics) -> Alertmanager {
        let name = redacted(&url);
        let timing = Timing { resend_delay: options.resend_delay, resolved_retention: options.resolved_retention };
        Alertmanager {
            series: metrics.series(&name),
            outbox: Mutex::new(Outbox::new(timing)),
            link: Mutex::new(link),
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
            health: Mutex::default(),
            url,
            name,
        }
    }

    pub(super) fn relink(&self, link: Arc<Link>) {
        *self.link.lock() = link;
    }

    /// Something was put into the outbox.
    pub(super) fn wake(&self) {
        self.series.undelivered(self.outbox.lock().owed());
        self.wake.notify_one();
    }

    pub(super) fn drain(&self, until: Instant) {
        self.phase.send_replace(Phase::Draining { until });
    }

    pub(super) fn status(&self) -> AlertmanagerStatus {
        let health = self.health.lock().clone();
        let outbox = self.outbox.lock();
        AlertmanagerStatus {
            url: self.name.clone(),
            undelivered: outbox.owed(),
            refused: outbox.refused_count(),
            last_error: health.last_error,
            last_success_at: health.last_success_at,
        }
    }

    /// Sends until it is drained.
    pub(super) async fn run(self: Arc<Alertmanager>, options: Arc<NotifyOptions>, clock: Arc<dyn Clock>) -> Drained {
        let mut seed = std::hash::DefaultHasher::new();
        (options.seed, &self.name).hash(&mut seed);
        let mut phase = self.phase.subscribe();
        let mut sender = Sender {
            pace: Pace::new(options.backoff, options.batch_size, seed.finish()),
            phase: self.phase.subscribe(),
            delivered_draining: 0,
            alertmanager: &self,
            clock,
        };
        tokio::select! {
            () = sender.run() => {}
            () = deadline(&mut phase) => {}
        }
        let left = self.outbox.lock().owed();
        self.series.dropped.inc_by(left as u64);
        self.series.leave();
        let drained = Drained { url: self.name.clone(), delivered: sender.delivered_draining, left };
        info!(alertmanager = %drained.url, delivered = drained.delivered, left, "Alertmanager drained");
        drained
    }

    fn succeeded(&self, at: Timestamp) {
        let mut health = self.health.lock();
        if health.failures > 0 {
            info!(alertmanager = %self.name, failures = health.failures, "alerts are accepted again");
        }
        *health = Health { last_error: None, last_success_at: Some(at), failures: 0 };
    }

    /// Logs the first failure of a streak, and each that differs from the one before; the rest are counted.
    fn failed(&self, message: &str, alerts: usize, pause: Duration) {
        self.series.errors.inc_by(alerts as u64);
        let undelivered = self.outbox.lock().owed();
        let mut health = self.health.lock();
        health.failures += 1;
        if health.last_error.as_deref() == Some(message) {
            debug!(alertmanager = %self.name, error = message, undelivered, ?pause, "sending alerts failed again");
            return;
        }
        warn!(alertmanager = %self.name, error = message, undelivered, ?pause, "sending alerts failed, will retry");
        health.last_error = Some(message.to_owned());
    }
}

/// One batch on its way, with the parts that refusals break it into.
#[derive(Default)]
struct Round {
    /// Still to be sent, the next one last.
    parts: Vec<Batch>,
    /// Refused when sent alone: the alert, the answer, and whether it was for its size.
    suspects: Vec<(Item, String, bool)>,
    /// True once the peer has accepted something, be it a request without alerts, as every Alertmanager does.
    judges_alerts: bool,
    /// It was asked whether it accepts a request without alerts.
    probed: bool,
    refusals: usize,
    refused: usize,
}

impl Round {
    /// What was refused before the first acceptance is tried once more: the peer may have been mended in between.
    fn accepted(&mut self) {
        if !std::mem::replace(&mut self.judges_alerts, true) {
            let again = self.suspects.drain(..).map(|(item, _, _)| Batch { items: vec![item] });
            self.parts.extend(again);
        }
    }
}

struct Sender<'a> {
    alertmanager: &'a Alertmanager,
    clock: Arc<dyn Clock>,
    pace: Pace,
    phase: watch::Receiver<Phase>,
    delivered_draining: usize,
}

impl Sender<'_> {
    async fn run(&mut self) {
        loop {
            let (wake, owed) = {
                let outbox = self.alertmanager.outbox.lock();
                (outbox.wake(self.clock.now()), outbox.owed())
            };
            if self.draining() && owed == 0 {
                return;
            }
            match wake {
                Wake::Now => {
                    if let Some(pause) = self.send_due().await {
                        self.rest(pause).await;
                    }
                }
                Wake::At(due) => self.wait(Some(due.since(self.clock.now()))).await,
                Wake::Never => self.wait(None).await,
            }
        }
    }

    fn draining(&self) -> bool {
        *self.phase.borrow() != Phase::Running
    }

    /// Until there is news, the time has come, or a drain begins.
    async fn wait(&mut self, time: Option<Duration>) {
        let time = time.unwrap_or(SLEEP_MAX).min(SLEEP_MAX).max(Duration::from_millis(1));
        tokio::select! {
            () = self.alertmanager.wake.notified() => {}
            () = tokio::time::sleep(time) => {}
            _ = self.phase.changed() => {}
        }
    }

    /// After a failure: news does not end this, only the beginning of a drain does.
    async fn rest(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.phase.changed() => self.pace.start_over(),
        }
    }

    /// Sends one batch, in parts where it is refused. Returns how long to leave the Alertmanager alone.
    async fn send_due(&mut self) -> Option<Duration> {
        let batch = self.alertmanager.outbox.lock().due(self.clock.now(), self.pace.batch_size());
        if batch.items.is_empty() {
            return None;
        }
        let mut round = Round { parts: vec![batch], ..Round::default() };
        let pause = self.send_round(&mut round).await;
        if round.refused > REFUSED_LOGGED_MAX {
            warn!(alertmanager = %self.alertmanager.name, refused = round.refused, "more alerts refused than logged");
        }
        self.alertmanager.series.undelivered(self.alertmanager.outbox.lock().owed());
        pause
    }

    async fn send_round(&mut self, round: &mut Round) -> Option<Duration> {
        while let Some(mut part) = round.parts.pop() {
            match self.post(&part).await {
                Verdict::Accepted => {
                    self.accepted(&part);
                    round.accepted();
                }
                Verdict::Failed { message, urgency, may_have_arrived } => {
                    self.pace.failed(part.items.len());
                    return Some(self.failed(round, part, &message, urgency, may_have_arrived));
                }
                Verdict::Refused { message, too_large } => {
                    if too_large {
                        self.pace.too_large(part.items.len());
                    }
                    if !round.judges_alerts && !too_large && !round.probed {
                        round.probed = true;
                        round.judges_alerts = self.post(&Batch::default()).await == Verdict::Accepted;
                    }
                    round.refusals += 1;
                    if !round.judges_alerts && round.refusals > UNPROVEN_REFUSALS_MAX {
                        return Some(self.failed(round, part, &message, Urgency::Slow, false));
                    }
                    if part.items.len() > 1 {
                        let second = part.split();
                        round.parts.extend([second, part]);
                    } else {
                        round.suspects.extend(part.items.into_iter().map(|item| (item, message.clone(), too_large)));
                    }
                }
            }
        }
        self.judge(round)
    }

    /// Leaves out the alerts that were refused by themselves. Where the peer refuses whatever it is sent they are kept:
    /// that is a gateway with another fault, and they would all be left out for good.
    fn judge(&mut self, round: &mut Round) -> Option<Duration> {
        let judges_alerts = round.judges_alerts;
        let (refused, kept): (Vec<_>, Vec<_>) =
            round.suspects.drain(..).partition(|(_, _, too_large)| judges_alerts || *too_large);
        for (item, message, _) in refused {
            round.refused += 1;
            self.refused(&item, &message, round.refused);
        }
        let message = kept.first().map(|(_, message, _)| message.clone())?;
        let part = Batch { items: kept.into_iter().map(|(item, _, _)| item).collect() };
        Some(self.failed(round, part, &message, Urgency::Slow, false))
    }

    async fn post(&self, batch: &Batch) -> Verdict {
        let link = self.alertmanager.link.lock().clone();
        let body = json::render(batch, self.clock.now());
        let began = Instant::now();
        let verdict = verdict(answer(&link, &self.alertmanager.url, body).await, self.clock.now());
        if verdict == Verdict::Accepted && !batch.items.is_empty() {
            self.alertmanager.series.took(began.elapsed());
        }
        verdict
    }

    fn accepted(&mut self, part: &Batch) {
        let at = self.clock.now();
        self.pace.accepted();
        let settled = self.alertmanager.outbox.lock().accepted(part, at);
        if self.draining() {
            self.delivered_draining += settled;
        }
        self.alertmanager.series.sent.inc_by(part.items.len() as u64);
        self.alertmanager.succeeded(at);
    }

    fn refused(&mut self, item: &Item, message: &str, count: usize) {
        self.alertmanager.outbox.lock().refused(item, self.clock.now());
        self.alertmanager.series.rejected.inc();
        self.alertmanager.series.errors.inc();
        if count <= REFUSED_LOGGED_MAX {
            let (alertmanager, labels) = (&self.alertmanager.name, &item.alert.labels);
            warn!(%alertmanager, alert = %labels, error = message, "alert refused, left out until it changes");
        }
    }

    /// Takes back this part and all that is open in the round.
    fn failed(
        &mut self,
        round: &mut Round,
        part: Batch,
        message: &str,
        urgency: Urgency,
        may_have_arrived: bool,
    ) -> Duration {
        let alerts = part.items.len();
        let mut outbox = self.alertmanager.outbox.lock();
        outbox.failed(&part, may_have_arrived, self.clock.now());
        for rest in round.parts.drain(..) {
            outbox.unsent(&rest);
        }
        let suspects = round.suspects.drain(..).map(|(item, _, _)| item).collect();
        outbox.unsent(&Batch { items: suspects });
        drop(outbox);
        let pause = self.pace.pause(urgency);
        self.alertmanager.failed(message, alerts, pause);
        pause
    }
}

async fn answer(link: &Link, url: &Url, body: Vec<u8>) -> Result<Answer, SendError> {
    let response = link.client.post(url.clone()).timeout(link.timeout).body("application/json", body).send().await?;
    let status = response.status();
    let retry_after =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // The status decides. The body is read so that the connection can be used again, and for what it says of a refusal.
    let body = read_bounded(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body).trim().chars().take(ANSWER_CHARS_SHOWN).collect();
    Ok(Answer { status, retry_after, text })
}

/// The end of a drain's time.
async fn deadline(phase: &mut watch::Receiver<Phase>) {
    loop {
        let Phase::Draining { until } = *phase.borrow_and_update() else {
            if phase.changed().await.is_err() {
                return;
            }
            continue;
        };
        // A second drain may shorten the first one's time.
        tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}
