//! The room's door: takes what evaluation tells, and keeps a loop running per Alertmanager.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::alertmanager::{Alertmanager, AlertmanagerStatus, Drained, Link};
use super::board::Board;
use super::metrics::Metrics;
use super::outgoing::{Merge, Outgoing, Route};
use super::send::Backoff;
use super::targets::{Targets, targets};
use crate::client::{Client, ClientError, ClientOptions};
use crate::clock::Clock;
use crate::config::AlertmanagerConfig;
use crate::model::{Alert, AlertKey, Labels, Timestamp};
use crate::relabel::RelabelRule;

/// Alerts routed before other tasks get their turn. Relabeling takes some microseconds each.
const ROUTED_AT_ONCE: usize = 1024;
/// Beyond its deadline, a drain waits this much longer for loops to end.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Where alerts are told.
pub trait Sink: Send + Sync + 'static {
    /// Takes the newest states of alerts: what fired, what resolved, what changed its annotations; each once, in the order
    /// in which it happened. Never blocks and never fails: delivery is the sink's business from here on.
    fn tell(&self, alerts: Vec<Alert>);
}

#[derive(Clone, Debug)]
pub struct NotifyOptions {
    /// From an acceptance to the next sending of the same state.
    pub resend_delay: Duration,
    /// Most alerts in one request.
    pub batch_size: usize,
    /// How long resolved alerts are re-sent.
    pub resolved_retention: Duration,
    pub backoff: Backoff,
    /// How long an Alertmanager that left the configuration is still sent what it has not been told.
    pub removed_drain: Duration,
    pub client: ClientOptions,
    /// Of the jitter in pauses. Replicas need different ones, or they come back to an Alertmanager all at once.
    pub seed: u64,
}

impl Default for NotifyOptions {
    fn default() -> NotifyOptions {
        NotifyOptions {
            resend_delay: Duration::from_secs(60),
            batch_size: 256,
            resolved_retention: Duration::from_secs(15 * 60),
            backoff: Backoff::default(),
            removed_drain: Duration::from_secs(10),
            client: ClientOptions::default(),
            seed: 0,
        }
    }
}

/// The parts of the configuration that delivery follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotifySettings {
    pub external_labels: Labels,
    /// `alerting.alert_relabel_configs`
    pub relabel: Vec<RelabelRule>,
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

#[derive(Debug, thiserror::Error)]
#[error("alerting.alertmanagers[{block}]: {source}")]
pub struct ApplyError {
    /// Which entry, from 0.
    pub block: usize,
    pub source: ClientError,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotifyStatus {
    /// In the order of the configuration.
    pub active: Vec<AlertmanagerStatus>,
    /// Push URLs of targets that relabeling dropped.
    pub dropped: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrainReport {
    pub alertmanagers: Vec<Drained>,
}

impl DrainReport {
    pub fn left(&self) -> usize {
        self.alertmanagers.iter().map(|drained| drained.left).sum()
    }

    pub fn delivered(&self) -> usize {
        self.alertmanagers.iter().map(|drained| drained.delivered).sum()
    }
}

/// Brings every Alertmanager to the truth that evaluation tells. See the room's docs.
pub struct Notifier {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    options: Arc<NotifyOptions>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    intake: Mutex<Intake>,
    told: Notify,
    state: Mutex<State>,
}

/// What was told and is not routed yet: the newest state per alert, in the order in which they were first told.
#[derive(Default)]
struct Intake {
    alerts: VecDeque<Alert>,
    /// Of each alert, counted from the first one ever taken.
    position: HashMap<AlertKey, usize>,
    taken: usize,
}

struct State {
    board: Board,
    settings: NotifySettings,
    lanes: Vec<Lane>,
    /// In the order of the configuration.
    running: Vec<Running>,
    /// Loops that left the configuration and may still drain.
    leaving: Vec<Running>,
    dropped: Vec<String>,
}

/// Alertmanagers with one route see the same alerts.
struct Lane {
    route: Route,
    merge: Merge,
    members: Vec<Arc<Alertmanager>>,
}

struct Running {
    alertmanager: Arc<Alertmanager>,
    block: AlertmanagerConfig,
    client: Arc<Client>,
    task: JoinHandle<Drained>,
}

/// An Alertmanager that the new settings name.
struct Wanted {
    url: Url,
    block: usize,
}

impl Notifier {
    /// Starts without Alertmanagers; what is told meanwhile is kept for those that `apply` brings. Within a tokio runtime.
    pub fn new(
        clock: Arc<dyn Clock>,
        registry: &Registry,
        options: NotifyOptions,
    ) -> Result<Notifier, prometheus::Error> {
        let state = State {
            board: Board::new(options.resolved_retention),
            settings: NotifySettings::default(),
            lanes: Vec::new(),
            running: Vec::new(),
            leaving: Vec::new(),
            dropped: Vec::new(),
        };
        let shared = Arc::new(Shared {
            metrics: Metrics::new(registry)?,
            options: Arc::new(options),
            clock,
            intake: Mutex::default(),
            told: Notify::new(),
            state: Mutex::new(state),
        });
        let stop = CancellationToken::new();
        let router = shared.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { router.route().await }));
        Ok(Notifier { shared, stop })
    }

    /// Makes delivery follow these settings, or changes nothing. Within a tokio runtime.
    ///
    /// An Alertmanager that stays keeps its loop and its outbox. It stays if its push URL stays; where several blocks name
    /// one URL (one per tenant, say), the block that is equal is taken first, then the next in order, so neither the
    /// place of a block in the file nor a changed password makes a new Alertmanager of it. Where external labels or
    /// relabeling changed, all alerts are routed anew: label sets that are produced no longer are resolved there.
    /// Alertmanagers that go are sent what they are owed for a short while.
    pub fn apply(&self, settings: NotifySettings) -> Result<(), ApplyError> {
        self.shared.take_in();
        let mut state = self.shared.state.lock();
        if state.settings == settings && !state.running.is_empty() {
            return Ok(());
        }
        let clients = self.shared.clients(&state, &settings)?;
        let found: Vec<Targets> = settings.alertmanagers.iter().map(targets).collect();
        for (block, fault) in
            found.iter().enumerate().flat_map(|(block, found)| found.faults.iter().map(move |fault| (block, fault)))
        {
            warn!(block, error = %fault, "target group of Alertmanagers left out");
        }
        state.dropped = found.iter().flat_map(|found| found.dropped.iter().cloned()).collect();
        let wanted = found
            .iter()
            .enumerate()
            .flat_map(|(block, found)| found.active.iter().map(move |url| Wanted { url: url.clone(), block }))
            .collect();
        self.shared.replace(&mut state, settings, wanted, &clients);
        Ok(())
    }

    pub fn status(&self) -> NotifyStatus {
        let state = self.shared.state.lock();
        NotifyStatus {
            active: state.running.iter().map(|running| running.alertmanager.status()).collect(),
            dropped: state.dropped.clone(),
        }
    }

    /// Delivers what is owed, within this time, and ends. What is told after this is lost.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        self.stop.cancel();
        self.shared.take_in();
        let until = Instant::now() + within;
        let (running, leaving) = {
            let mut state = self.shared.state.lock();
            state.lanes.clear();
            (std::mem::take(&mut state.running), std::mem::take(&mut state.leaving))
        };
        for running in running.iter().chain(&leaving) {
            running.alertmanager.drain(until);
        }
        let mut report = DrainReport::default();
        for Running { alertmanager, mut task, .. } in running.into_iter().chain(leaving) {
            match tokio::time::timeout_at(until + DRAIN_GRACE, &mut task).await {
                Ok(Ok(drained)) => report.alertmanagers.push(drained),
                Ok(Err(_)) | Err(_) => {
                    task.abort();
                    let AlertmanagerStatus { url, undelivered, .. } = alertmanager.status();
                    report.alertmanagers.push(Drained { url, delivered: 0, left: undelivered });
                }
            }
        }
        report
    }
}

impl Sink for Notifier {
    fn tell(&self, alerts: Vec<Alert>) {
        if alerts.is_empty() {
            return;
        }
        let mut intake = self.shared.intake.lock();
        alerts.into_iter().for_each(|alert| intake.put(alert));
        drop(intake);
        self.shared.told.notify_one();
    }
}

/// Tasks hold what they need; without this they would outlive the notifier.
impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop.cancel();
        let mut state = self.shared.state.lock();
        let State { running, leaving, .. } = &mut *state;
        for running in running.drain(..).chain(leaving.drain(..)) {
            running.task.abort();
        }
    }
}

impl Shared {
    async fn route(&self) {
        loop {
            self.told.notified().await;
            while self.take_some() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// What `route` would do, now.
    fn take_in(&self) {
        while self.take_some() {}
    }

    /// The state is locked before anything is taken: what two callers take is routed in the order in which it was told.
    fn take_some(&self) -> bool {
        let mut state = self.state.lock();
        let alerts = self.intake.lock().take(ROUTED_AT_ONCE);
        let some = !alerts.is_empty();
        state.tell(alerts.into_iter(), &*self.clock);
        some
    }

    /// One client per block; that of an equal block stays, with its connections and tokens.
    fn clients(&self, state: &State, settings: &NotifySettings) -> Result<Vec<Arc<Client>>, ApplyError> {
        let client = |(block, config): (usize, &AlertmanagerConfig)| match state
            .running
            .iter()
            .find(|running| running.block.http == config.http)
        {
            Some(running) => Ok(running.client.clone()),
            None => Client::build(&config.http, &self.options.client)
                .map(Arc::new)
                .map_err(|source| ApplyError { block, source }),
        };
        settings.alertmanagers.iter().enumerate().map(client).collect()
    }

    fn replace(&self, state: &mut State, settings: NotifySettings, wanted: Vec<Wanted>, clients: &[Arc<Client>]) {
        let mut before: Vec<Option<Running>> = std::mem::take(&mut state.running).into_iter().map(Some).collect();
        let mut kept = match_up(&before, &wanted, &settings);
        let mut lanes_before = std::mem::take(&mut state.lanes);
        let at = self.clock.now();
        for (wanted, kept) in wanted.into_iter().zip(kept.drain(..)) {
            let block = settings.alertmanagers[wanted.block].clone();
            let client = clients[wanted.block].clone();
            let link = Arc::new(Link { client: client.clone(), timeout: block.timeout });
            let running = match kept.and_then(|index| before[index].take()) {
                Some(running) => {
                    running.alertmanager.relink(link);
                    Running { block, client, ..running }
                }
                None => {
                    state.overtake(&wanted.url, &block);
                    self.start(wanted.url, block, client, link)
                }
            };
            let route = Route {
                external_labels: settings.external_labels.clone(),
                relabel: settings.relabel.clone(),
                block_relabel: running.block.alert_relabel.clone(),
            };
            state.join(&mut lanes_before, route, &running.alertmanager, at);
            state.running.push(running);
        }
        let until = Instant::now() + self.options.removed_drain;
        for gone in before.into_iter().flatten() {
            info!(alertmanager = %gone.alertmanager.name, "Alertmanager removed");
            gone.alertmanager.drain(until);
            state.leaving.push(gone);
        }
        state.leaving.retain(|leaving| !leaving.task.is_finished());
        self.metrics.discovered.set(i64::try_from(state.running.len()).unwrap_or(i64::MAX));
        state.settings = settings;
    }

    fn start(&self, url: Url, block: AlertmanagerConfig, client: Arc<Client>, link: Arc<Link>) -> Running {
        let alertmanager = Arc::new(Alertmanager::new(url, link, &self.options, &self.metrics));
        info!(alertmanager = %alertmanager.name, "Alertmanager added");
        let task = tokio::spawn(alertmanager.clone().run(self.options.clone(), self.clock.clone()));
        Running { alertmanager, block, client, task }
    }
}

/// Which loop serves each wanted Alertmanager, by its index. See `Notifier::apply`.
fn match_up(before: &[Option<Running>], wanted: &[Wanted], settings: &NotifySettings) -> Vec<Option<usize>> {
    let mut free: Vec<bool> = before.iter().map(|running| running.as_ref().is_some()).collect();
    let mut matched = vec![None; wanted.len()];
    for equal_only in [true, false] {
        for (wanted, matched) in wanted.iter().zip(&mut matched).filter(|(_, matched)| matched.is_none()) {
            let block = &settings.alertmanagers[wanted.block];
            let found = before.iter().enumerate().position(|(index, running)| {
                free[index]
                    && running.as_ref().is_some_and(|running| {
                        running.alertmanager.url == wanted.url && (!equal_only || running.block == *block)
                    })
            });
            if let Some(index) = found {
                free[index] = false;
                *matched = Some(index);
            }
        }
    }
    matched
}

impl Intake {
    fn put(&mut self, alert: Alert) {
        match self.position.get(&alert.key) {
            Some(position) => self.alerts[position - self.taken] = alert,
            None => {
                self.position.insert(alert.key, self.taken + self.alerts.len());
                self.alerts.push_back(alert);
            }
        }
    }

    fn take(&mut self, alerts_max: usize) -> Vec<Alert> {
        let alerts: Vec<Alert> = self.alerts.drain(..alerts_max.min(self.alerts.len())).collect();
        self.taken += alerts.len();
        for alert in &alerts {
            self.position.remove(&alert.key);
        }
        alerts
    }
}

impl State {
    fn tell(&mut self, alerts: impl Iterator<Item = Alert>, clock: &dyn Clock) {
        let mut news: Vec<Vec<Arc<Outgoing>>> = self.lanes.iter().map(|_| Vec::new()).collect();
        for alert in alerts {
            let alert = self.board.tell(alert);
            for (lane, news) in self.lanes.iter_mut().zip(&mut news) {
                let Lane { route, merge, .. } = lane;
                news.extend(merge.tell(&alert, |labels| route.outgoing(labels)).map(Arc::new));
            }
        }
        for (lane, news) in self.lanes.iter().zip(news).filter(|(_, news)| !news.is_empty()) {
            for member in &lane.members {
                let mut outbox = member.outbox.lock();
                news.iter().for_each(|outgoing| outbox.tell(outgoing));
                drop(outbox);
                member.wake();
            }
        }
        for key in self.board.expire(clock.now()) {
            for lane in &mut self.lanes {
                if let Some(labels) = lane.merge.forget(key) {
                    lane.members.iter().for_each(|member| member.outbox.lock().expire(&labels));
                }
            }
        }
    }

    /// Ends the loop of an Alertmanager that comes back before it has left: what that loop would deliver late, the new
    /// one has overtaken by then.
    fn overtake(&self, url: &Url, block: &AlertmanagerConfig) {
        let same = |leaving: &&Running| leaving.alertmanager.url == *url && leaving.block.http == block.http;
        self.leaving.iter().filter(same).for_each(|leaving| leaving.alertmanager.drain(Instant::now()));
    }

    /// Puts an Alertmanager on the lane of its route, and brings its outbox there if it was on another or is new.
    fn join(&mut self, before: &mut [Lane], route: Route, alertmanager: &Arc<Alertmanager>, at: Timestamp) {
        let was_here = |lane: &Lane| lane.members.iter().any(|member| Arc::ptr_eq(member, alertmanager));
        let stays = before.iter().any(|lane| lane.route == route && was_here(lane));
        let lane = match self.lanes.iter().position(|lane| lane.route == route) {
            Some(lane) => lane,
            None => {
                let merge = match before.iter_mut().find(|lane| lane.route == route) {
                    Some(lane) => std::mem::take(&mut lane.merge),
                    None => Merge::of(self.board.alerts(), &route),
                };
                self.lanes.push(Lane { route, merge, members: Vec::new() });
                self.lanes.len() - 1
            }
        };
        let is_new = !before.iter().any(was_here);
        let lane = &mut self.lanes[lane];
        lane.members.push(alertmanager.clone());
        let all = lane.merge.all().map(Arc::new);
        if is_new {
            alertmanager.outbox.lock().fill(all);
        } else if !stays {
            let produces = |labels: &Labels| lane.merge.produces(labels);
            alertmanager.outbox.lock().reroute(all, produces, at);
        }
        alertmanager.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::{firing, resolved};

    #[test]
    fn the_intake_holds_the_newest_state_of_each_alert_in_the_order_told() {
        let mut intake = Intake::default();
        let mut shown = Vec::new();
        for (told, take) in [
            (vec![firing(1, 0), firing(2, 0), firing(3, 0)], 2),
            (vec![resolved(3, 0, 5), firing(1, 7), resolved(1, 7, 8)], 1),
            (vec![firing(2, 9)], 9),
        ] {
            told.into_iter().for_each(|alert| intake.put(alert));
            shown.push(intake.take(take));
        }
        assert_eq!(
            shown,
            [vec![firing(1, 0), firing(2, 0)], vec![resolved(3, 0, 5)], vec![resolved(1, 7, 8), firing(2, 9)]]
        );
        assert!(intake.position.is_empty());
    }
}
