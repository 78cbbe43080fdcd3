//! Remote write 1.0 to any number of targets, each with a queue and a sender of its own.
//!
//! A target that is down or slow holds up no other one and no evaluation. Its samples wait, within its queue's bound, in
//! the order in which they came, and are sent until they are accepted or refused for good.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::metrics::{Metrics, TargetMetrics};
use super::queue::{Item, Queue};
use super::send::{self, Verdict};
use super::{Store, Ticket};
use crate::client::header::{CONTENT_ENCODING, HeaderName, HeaderValue, RETRY_AFTER};
use crate::client::{Client, ClientError, ClientOptions, Response, StatusCode, read_bounded, redacted, retry_after};
use crate::clock::Clock;
use crate::config::RemoteWriteConfig;
use crate::model::{Labels, TimedSample, Timestamp, Value};
use crate::wire::remote_write as wire;

/// How much of a refusal's body is shown, as in Prometheus.
const REFUSAL_BYTES_MAX: usize = 1024;
/// How much of a refusal's body is read before that.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long a target that a reload removed may go on with what it has. As Prometheus' flush deadline.
const REMOVED_DRAIN: Duration = Duration::from_secs(60);
/// How often a refused batch is halved in search of the samples it was refused for. One of 2000 takes eleven halvings, of
/// two requests each; what is refused after the last is given up as a whole, so that a target that takes nothing does not
/// get a request for every sample.
const HALVINGS_MAX: usize = 64;
/// A trouble that lasts is logged when it begins, and then no more often than this.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// All remote-write targets.
pub struct RemoteWriters {
    targets: Mutex<Vec<Target>>,
    clock: Arc<dyn Clock>,
    options: ClientOptions,
    metrics: Metrics,
}

/// One target as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStatus {
    pub name: String,
    /// Without secrets.
    pub url: String,
    /// Samples queued or being sent.
    pub pending: usize,
    pub capacity: usize,
    /// Why the last request failed; none if it went well.
    pub last_error: Option<String>,
    /// When a request was last accepted.
    pub last_accepted_at: Option<Timestamp>,
}

/// What a drain finished, and what it left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    pub targets: Vec<TargetDrained>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetDrained {
    pub name: String,
    /// Samples settled during the drain.
    pub settled: u64,
    /// Samples left behind.
    pub left: usize,
}

struct Target {
    shared: Arc<TargetShared>,
    sender: JoinHandle<()>,
}

/// What a target's sender and its owner both see.
struct TargetShared {
    queue: Queue,
    /// Read anew for every request, so that a reload changes what is sent next and keeps what is queued.
    settings: ArcSwap<Settings>,
    health: Mutex<Health>,
    clock: Arc<dyn Clock>,
}

struct Settings {
    config: RemoteWriteConfig,
    external_labels: Labels,
    client: Client,
    url: String,
    metrics: TargetMetrics,
}

#[derive(Default)]
struct Health {
    last_error: Option<String>,
    last_accepted_at: Option<Timestamp>,
    failure_logged_at: Option<Instant>,
    overflow_logged_at: Option<Instant>,
}

impl RemoteWriters {
    /// No targets yet: `apply` brings them.
    pub fn new(clock: Arc<dyn Clock>, options: ClientOptions, metrics: Metrics) -> RemoteWriters {
        RemoteWriters { targets: Mutex::default(), clock, options, metrics }
    }

    /// Makes the targets those of a configuration. Must run within a tokio runtime.
    ///
    /// A target of a name that was there before, or else of its URL, keeps its queue. One that is gone sends what it has
    /// for up to a minute. On an error nothing has changed.
    pub fn apply(&self, configs: &[RemoteWriteConfig], external_labels: &Labels) -> Result<(), ClientError> {
        let settings =
            configs.iter().map(|config| self.settings(config, external_labels)).collect::<Result<Vec<_>, _>>()?;
        let mut targets = self.targets.lock();
        let mut old: Vec<Option<Target>> = targets.drain(..).map(Some).collect();
        let mut kept: Vec<Option<Target>> = settings.iter().map(|_| None).collect();
        let same_name = |old: &RemoteWriteConfig, new: &RemoteWriteConfig| old.name == new.name;
        let same_url = |old: &RemoteWriteConfig, new: &RemoteWriteConfig| old.url == new.url;
        for same in [same_name as fn(&_, &_) -> bool, same_url] {
            for (place, settings) in kept.iter_mut().zip(&settings).filter(|(place, _)| place.is_none()) {
                let matches = |target: &&mut Option<Target>| {
                    target.as_ref().is_some_and(|old| same(&old.shared.settings.load().config, &settings.config))
                };
                *place = old.iter_mut().find(matches).and_then(Option::take);
            }
        }
        for (place, settings) in kept.into_iter().zip(settings) {
            targets.push(match place {
                Some(target) => target.adopt(settings),
                None => Target::start(settings, self.clock.clone()),
            });
        }
        old.into_iter().flatten().for_each(Target::retire);
        Ok(())
    }

    /// Waits until all that is queued is settled, or the deadline; then stops sending.
    pub async fn drain(&self, deadline: Instant) -> DrainReport {
        let targets: Vec<Target> = self.targets.lock().drain(..).collect();
        let drains = targets.into_iter().map(|target| target.drain(deadline));
        DrainReport { targets: futures_util::future::join_all(drains).await }
    }

    pub fn status(&self) -> Vec<TargetStatus> {
        self.targets.lock().iter().map(|target| target.shared.status()).collect()
    }

    fn settings(&self, config: &RemoteWriteConfig, external_labels: &Labels) -> Result<Settings, ClientError> {
        let url = redacted(&config.url);
        Ok(Settings {
            client: Client::build(&config.http, &self.options)?,
            metrics: self.metrics.of(&config.name, &url),
            config: config.clone(),
            external_labels: external_labels.clone(),
            url,
        })
    }
}

impl Store for RemoteWriters {
    fn append(&self, samples: Vec<TimedSample>) -> Ticket {
        let (items, histograms) = floats(samples);
        let targets = self.targets.lock();
        let waits = targets.iter().map(|target| target.shared.append(&items, histograms)).collect();
        Ticket { waits }
    }
}

/// The float samples, and how many histograms were among the others: those of a query's answer have no schema, and what
/// has no schema cannot be written.
fn floats(samples: Vec<TimedSample>) -> (Vec<Item>, usize) {
    let all = samples.len();
    let float = |TimedSample { labels, at, value }| match value {
        Value::Float(value) => Some(Item { labels, at, value }),
        Value::Histogram(_) => None,
    };
    let items: Vec<Item> = samples.into_iter().filter_map(float).collect();
    let histograms = all - items.len();
    (items, histograms)
}

impl Target {
    fn start(settings: Settings, clock: Arc<dyn Clock>) -> Target {
        let shared = Arc::new(TargetShared {
            queue: Queue::new(),
            settings: ArcSwap::from_pointee(settings),
            health: Mutex::default(),
            clock,
        });
        shared.show_queue();
        let sender = tokio::spawn(run(shared.clone()));
        Target { shared, sender }
    }

    /// The same queue under new settings. What is the same keeps its connections.
    fn adopt(self, settings: Settings) -> Target {
        let now = self.shared.settings.load();
        if now.config != settings.config || now.external_labels != settings.external_labels {
            self.shared.settings.store(Arc::new(settings));
            self.shared.show_queue();
        }
        drop(now);
        self
    }

    fn retire(self) {
        tokio::spawn(async move {
            let drained = self.drain(Instant::now() + REMOVED_DRAIN).await;
            info!(remote_name = drained.name, samples_left = drained.left, "remote write target removed");
        });
    }

    async fn drain(self, deadline: Instant) -> TargetDrained {
        let settled_before = self.shared.queue.progress().settled;
        // What the deadline leaves is in the report.
        let _ = timeout_at(deadline, self.shared.queue.emptied()).await;
        TargetDrained {
            name: self.shared.settings.load().config.name.clone(),
            settled: self.shared.queue.progress().settled - settled_before,
            left: self.shared.queue.pending(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

/// A target's sender: batch after batch, in order, each until it is settled.
async fn run(target: Arc<TargetShared>) {
    let mut most = usize::MAX;
    loop {
        most = most.min(target.settings.load().config.queue.max_samples_per_send);
        let batch = target.queue.next_batch(most).await;
        most = match target.deliver(&batch).await {
            Outcome::Split => batch.len() / 2,
            // Back to the full size by steps: where it was too large once, it mostly is again.
            Outcome::Settled => most.saturating_add(most / 8 + 1),
        };
    }
}

enum Outcome {
    Settled,
    /// The batch is still in the queue, and wants to be sent in parts.
    Split,
}

impl TargetShared {
    fn append(&self, items: &[Item], histograms: usize) -> super::Wait {
        let settings = self.settings.load();
        let (wait, dropped) = self.queue.append(items.iter().cloned(), settings.config.queue.capacity);
        self.show_queue();
        if histograms > 0 {
            settings.metrics.failed.inc_by(histograms as u64);
            warn!(
                remote_name = settings.config.name,
                histograms, "native histograms of a query's answer cannot be written"
            );
        }
        if dropped > 0 {
            settings.metrics.dropped.inc_by(dropped as u64);
            settings.metrics.overflowed.inc_by(dropped as u64);
            if due(&mut self.health.lock().overflow_logged_at) {
                warn!(
                    remote_name = settings.config.name,
                    url = settings.url,
                    dropped,
                    capacity = settings.config.queue.capacity,
                    "remote write queue is full, its oldest samples are lost"
                );
            }
        }
        wait
    }

    /// Sends a batch until it is settled.
    ///
    /// Where the target refuses it for some of its samples, halves of it are sent, and halves of these, until those
    /// samples are found; the earlier half first, so that the order of each series stays.
    async fn deliver(&self, batch: &[Item]) -> Outcome {
        let mut parts = vec![batch];
        let mut halvings_left = HALVINGS_MAX;
        let mut settled = Settled::default();
        while let Some(part) = parts.pop() {
            let (sent, failed) = match self.deliver_part(part).await {
                Sent::Accepted { samples } => {
                    settled.relabeled_away += part.len() - samples;
                    continue;
                }
                Sent::Failed { samples, failed, verdict } => ((samples, verdict), failed),
            };
            match sent {
                (_, Verdict::Split) if part.len() == batch.len() => return Outcome::Split,
                (_, Verdict::Split | Verdict::Sift) if part.len() > 1 && halvings_left > 0 => {
                    halvings_left -= 1;
                    let (earlier, later) = part.split_at(part.len() / 2);
                    parts.extend([later, earlier]);
                }
                (samples, _) => settled.lose(part, samples, failed),
            }
        }
        self.settle(settled);
        Outcome::Settled
    }

    /// Sends samples until they are accepted or refused, by the settings of the moment.
    async fn deliver_part(&self, part: &[Item]) -> Sent {
        let mut made: Option<(Arc<Settings>, bytes::Bytes, usize)> = None;
        let mut attempt = 0;
        loop {
            let settings = self.settings.load_full();
            let (body, samples) = match made.take().filter(|(made_for, ..)| Arc::ptr_eq(made_for, &settings)) {
                Some((_, body, samples)) => (body, samples),
                None => match encode(&settings, part) {
                    Ok(encoded) => encoded,
                    Err(error) => return Sent::unsendable(part.len(), &error),
                },
            };
            if samples == 0 {
                return Sent::Accepted { samples };
            }
            let failed = match self.send(&settings, body.clone(), attempt).await {
                Ok(()) => {
                    self.accepted(&settings, part, samples, body.len());
                    return Sent::Accepted { samples };
                }
                Err(failed) => failed,
            };
            match failed.verdict(samples, &settings) {
                Verdict::Retry | Verdict::Accepted => {}
                verdict => return Sent::Failed { samples, failed, verdict },
            }
            attempt += 1;
            settings.metrics.retried.inc_by(samples as u64);
            let wait = send::backoff(attempt, failed.retry_after, &settings.config.queue);
            self.failed_for_now(&settings, &failed.message, attempt, wait);
            made = Some((settings, body, samples));
            tokio::time::sleep(wait).await;
        }
    }

    async fn send(&self, settings: &Settings, body: bytes::Bytes, attempt: u32) -> Result<(), FailedSend> {
        let mut request = settings
            .client
            .post(settings.config.url.clone())
            .header(CONTENT_ENCODING, HeaderValue::from_static(wire::CONTENT_ENCODING))
            .header(HeaderName::from_static(wire::VERSION_HEADER), HeaderValue::from_static(wire::VERSION))
            .body(wire::CONTENT_TYPE, body)
            .timeout(settings.config.timeout);
        if attempt > 0 {
            request = request.header(HeaderName::from_static("retry-attempt"), HeaderValue::from(attempt));
        }
        let started = Instant::now();
        let sent = request.send().await;
        let answer = match sent {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(self.refused(response).await),
            Err(error) => Err(FailedSend { status: None, message: error.to_string(), retry_after: None }),
        };
        settings.metrics.duration.observe(started.elapsed().as_secs_f64());
        answer
    }

    async fn refused(&self, response: Response) -> FailedSend {
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|header| retry_after(header, self.clock.now()));
        // The status is the answer; a body that cannot be read takes nothing from it.
        let body = read_bounded(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_BYTES_MAX)]);
        let message = match text.trim() {
            "" => format!("answered {status}"),
            text => format!("answered {status}: {text}"),
        };
        FailedSend { status: Some(status), message, retry_after }
    }

    fn accepted(&self, settings: &Settings, part: &[Item], samples: usize, bytes: usize) {
        settings.metrics.sent.inc_by(samples as u64);
        settings.metrics.bytes.inc_by(bytes as u64);
        let newest = part.iter().map(|item| item.at).max().unwrap_or_default().as_seconds();
        settings.metrics.highest_sent.set(settings.metrics.highest_sent.get().max(newest));
        let mut health = self.health.lock();
        health.last_error = None;
        let trouble = health.failure_logged_at.take().is_some();
        health.last_accepted_at = Some(self.clock.now());
        drop(health);
        if trouble {
            info!(remote_name = settings.config.name, url = settings.url, "remote write works again");
        }
    }

    fn failed_for_now(&self, settings: &Settings, message: &str, attempt: u32, wait: Duration) {
        let mut health = self.health.lock();
        health.last_error = Some(message.to_owned());
        if due(&mut health.failure_logged_at) {
            warn!(
                remote_name = settings.config.name,
                url = settings.url,
                error = message,
                attempt,
                pending = self.queue.pending(),
                retry_in = ?wait,
                "remote write failed, will retry"
            );
        }
    }

    /// The batch is done with.
    fn settle(&self, settled: Settled) {
        let settings = self.settings.load();
        settings.metrics.dropped.inc_by(settled.relabeled_away as u64);
        if let Some(loss) = settled.loss {
            settings.metrics.failed.inc_by(loss.samples as u64);
            warn!(
                remote_name = settings.config.name,
                url = settings.url,
                samples = loss.samples,
                first = %loss.first,
                error = loss.message,
                "remote write refused samples for good, they are lost"
            );
            self.health.lock().last_error = Some(loss.message);
            self.queue.settle(loss.samples);
        } else {
            self.queue.settle(0);
        }
        self.show_queue();
    }

    fn show_queue(&self) {
        let settings = self.settings.load();
        settings.metrics.pending.set(i64::try_from(self.queue.pending()).unwrap_or(i64::MAX));
        settings.metrics.capacity.set(i64::try_from(settings.config.queue.capacity).unwrap_or(i64::MAX));
    }

    fn status(&self) -> TargetStatus {
        let (settings, health) = (self.settings.load(), self.health.lock());
        TargetStatus {
            name: settings.config.name.clone(),
            url: settings.url.clone(),
            pending: self.queue.pending(),
            capacity: settings.config.queue.capacity,
            last_error: health.last_error.clone(),
            last_accepted_at: health.last_accepted_at,
        }
    }
}

/// The body for samples, and how many of them are left in it after relabeling.
fn encode(settings: &Settings, part: &[Item]) -> Result<(bytes::Bytes, usize), wire::BodyError> {
    let request = send::request(part, &settings.external_labels, &settings.config.write_relabel);
    let samples = request.timeseries.len();
    Ok((request.to_body()?.into(), samples))
}

/// What became of a batch, or of a part of it.
enum Sent {
    /// All that relabeling left, which may be nothing.
    Accepted { samples: usize },
    /// The verdict is not to retry.
    Failed { samples: usize, failed: FailedSend, verdict: Verdict },
}

impl Sent {
    fn unsendable(samples: usize, error: &wire::BodyError) -> Sent {
        let failed = FailedSend { status: None, message: error.to_string(), retry_after: None };
        Sent::Failed { samples, failed, verdict: Verdict::GiveUp }
    }
}

/// What became of the samples of a batch that were not accepted.
#[derive(Default)]
struct Settled {
    relabeled_away: usize,
    loss: Option<Loss>,
}

struct Loss {
    samples: usize,
    /// A series that is among them, mostly: relabeling may have dropped it.
    first: Labels,
    /// Why the first ones were refused.
    message: String,
}

impl Settled {
    /// All samples of a part are lost that relabeling left.
    fn lose(&mut self, part: &[Item], samples: usize, failed: FailedSend) {
        self.relabeled_away += part.len() - samples;
        let first = || part.first().map(|item| item.labels.clone()).unwrap_or_default();
        let loss = self.loss.get_or_insert_with(|| Loss { samples: 0, first: first(), message: failed.message });
        loss.samples += samples;
    }
}

/// A request that was not accepted.
struct FailedSend {
    /// None: no answer at all.
    status: Option<StatusCode>,
    message: String,
    retry_after: Option<Duration>,
}

impl FailedSend {
    fn verdict(&self, samples: usize, settings: &Settings) -> Verdict {
        self.status.map_or(Verdict::Retry, |status| send::verdict(status, samples, &settings.config.queue))
    }
}

/// Whether something that lasts is to be logged now; remembers that it was.
fn due(logged_at: &mut Option<Instant>) -> bool {
    let due = logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY);
    if due {
        *logged_at = Some(Instant::now());
    }
    due
}
