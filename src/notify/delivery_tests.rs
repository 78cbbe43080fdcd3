//! The whole room against Alertmanagers on this machine that can be slow, wrong and away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::testing::{block, firing, resolved};
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::config::AlertmanagerConfig;
use crate::model::{Alert, AlertState, Labels};
use crate::relabel::{RelabelRule, RelabelSpec};

/// How a stub treats requests.
#[derive(Clone, Debug, Default)]
enum Mood {
    #[default]
    Fine,
    Status(u16),
    /// 429 with `Retry-After: 0`, so many times.
    Busy(usize),
    Never,
    Slow(Duration),
    /// 400 where one of these alerts is in the request; the others are stored, as Alertmanager does.
    RefusesAlerts(Vec<&'static str>),
    /// As above, and a request without alerts too, as a lookalike might.
    RefusesAlertsAndNothing(Vec<&'static str>),
    /// 413 above so many alerts.
    TakesAtMost(usize),
    /// This status, and nothing stored, where this alert is in the request.
    Chokes(&'static str, u16),
    RedirectsTo(String),
}

#[derive(Default)]
struct Stub {
    mood: Mutex<Mood>,
    /// `endsAt` and generator per label set, as last stored.
    alerts: Mutex<BTreeMap<String, Value>>,
    requests: Mutex<Vec<usize>>,
}

impl Stub {
    /// On this port, or any.
    async fn start(port: u16) -> (Arc<Stub>, String, JoinHandle<()>) {
        let stub = Arc::new(Stub::default());
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(receive).with_state(stub.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (stub, address, task)
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// `1+ 2-`: rule 1 fires here, rule 2 is resolved.
    fn holds(&self) -> String {
        let now = SystemClock.now().to_rfc3339_millis();
        let shown = |(labels, alert): (&String, &Value)| {
            let fires = alert["endsAt"].as_str().unwrap() > now.as_str();
            format!("{labels}{}", if fires { '+' } else { '-' })
        };
        self.alerts.lock().iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    fn requests(&self) -> usize {
        self.requests.lock().len()
    }

    fn store(&self, alerts: &[Value]) {
        let mut held = self.alerts.lock();
        for alert in alerts {
            let labels = alert["labels"].as_object().unwrap();
            let name = labels["alertname"].as_str().unwrap().trim_start_matches("rule ");
            let others = labels.iter().filter(|(name, _)| *name != "alertname");
            let others: Vec<String> =
                others.map(|(name, value)| format!("/{name}={}", value.as_str().unwrap())).collect();
            held.insert(format!("{name}{}", others.concat()), alert.clone());
        }
    }
}

async fn receive(State(stub): State<Arc<Stub>>, headers: HeaderMap, uri: Uri, body: String) -> Response {
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("Bellwether/"));
    assert!(uri.path().ends_with("/api/v2/alerts"));
    let alerts: Vec<Value> = serde_json::from_str(&body).unwrap();
    stub.requests.lock().push(alerts.len());
    let mood = stub.mood.lock().clone();
    match mood {
        Mood::Fine => {}
        Mood::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Busy(times) => {
            stub.set(if times > 1 { Mood::Busy(times - 1) } else { Mood::Fine });
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response();
        }
        Mood::Never => std::future::pending().await,
        Mood::Slow(time) => tokio::time::sleep(time).await,
        Mood::RefusesAlertsAndNothing(_) if alerts.is_empty() => return StatusCode::BAD_REQUEST.into_response(),
        Mood::RefusesAlerts(names) | Mood::RefusesAlertsAndNothing(names) => {
            let bad = |alert: &Value| names.contains(&alert["labels"]["alertname"].as_str().unwrap());
            let (refused, taken): (Vec<Value>, Vec<Value>) = alerts.into_iter().partition(bad);
            stub.store(&taken);
            let status = if refused.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            return (status, "\"invalid label set\"").into_response();
        }
        Mood::Chokes(name, status) if alerts.iter().any(|alert| alert["labels"]["alertname"] == name) => {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Mood::Chokes(..) => {}
        Mood::TakesAtMost(most) if alerts.len() > most => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Mood::TakesAtMost(_) => {}
        Mood::RedirectsTo(to) => return (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
    }
    stub.store(&alerts);
    StatusCode::OK.into_response()
}

fn options() -> NotifyOptions {
    let millis = Duration::from_millis;
    NotifyOptions {
        backoff: Backoff { min: millis(5), max: millis(40), slow: millis(30), retry_after_max: millis(50) },
        removed_drain: millis(2000),
        ..NotifyOptions::default()
    }
}

fn notifier_with(options: NotifyOptions) -> (Notifier, Registry) {
    let registry = Registry::new();
    (Notifier::new(SystemClock::shared(), &registry, options).unwrap(), registry)
}

fn notifier() -> (Notifier, Registry) {
    notifier_with(options())
}

fn settings(targets: &[&String]) -> NotifySettings {
    let blocks = targets.iter().map(|target| block(&[(*target).clone()])).collect();
    NotifySettings { alertmanagers: blocks, ..NotifySettings::default() }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came true: {what}");
}

async fn eventually_holds(stub: &Stub, expected: &str) {
    eventually(&format!("{expected:?}, holds {:?}", stub.holds()), || stub.holds() == expected).await;
}

/// The value of a series by name and labels; `None` if it does not exist.
fn metric(registry: &Registry, name: &str) -> Option<f64> {
    let family = registry.gather().into_iter().find(|family| family.name() == name)?;
    let metric = family.get_metric().first()?;
    Some(metric.get_counter().get_value() + metric.get_gauge().get_value())
}

/// Times of alerts are in the past for resolves, as they are for a real clock.
fn gone(rule: u64) -> Alert {
    resolved(rule, 1, 2)
}

/// What resolves now is told even to an Alertmanager that cannot know of it.
fn just_gone(rule: u64) -> Alert {
    Alert { state: AlertState::Resolved { resolved_at: SystemClock.now() }, ..firing(rule, 1) }
}

#[tokio::test]
async fn a_dead_alertmanager_delays_no_other_and_is_told_the_truth_when_it_is_back() {
    let (well, well_address, _) = Stub::start(0).await;
    let (_, dead_address, dead) = Stub::start(0).await;
    dead.abort();
    let _ = dead.await;
    let (notifier, _) = notifier();
    notifier.apply(settings(&[&dead_address, &well_address])).unwrap();
    notifier.tell(vec![firing(1, 1), firing(2, 1), firing(3, 1)]);
    eventually_holds(&well, "1+ 2+ 3+").await;
    notifier.tell(vec![just_gone(2), just_gone(3)]);
    notifier.tell(vec![firing(3, 5)]);
    eventually_holds(&well, "1+ 2- 3+").await;
    let status = notifier.status();
    assert_eq!((status.active[0].undelivered, status.active[1].undelivered), (3, 0));
    assert!(status.active[0].last_error.is_some() && status.active[0].last_success_at.is_none());
    assert!(status.active[1].last_error.is_none() && status.active[1].last_success_at.is_some());

    let port = dead_address.rsplit(':').next().unwrap().parse().unwrap();
    let (back, _, _) = Stub::start(port).await;
    eventually_holds(&back, "1+ 2- 3+").await;
    eventually("nothing is undelivered", || notifier.status().active[0].undelivered == 0).await;
}

#[tokio::test]
async fn whatever_an_alertmanager_answers_it_holds_the_truth_in_the_end() {
    let (elsewhere, elsewhere_address, _) = Stub::start(0).await;
    for mood in [
        Mood::Status(500),
        Mood::Status(503),
        Mood::Status(429),
        Mood::Busy(3),
        Mood::Status(401),
        Mood::Status(403),
        Mood::Status(404),
        Mood::Status(302),
        Mood::Status(400),
        Mood::Status(422),
        Mood::Never,
        Mood::Slow(Duration::from_millis(600)),
        Mood::RedirectsTo("/loop/api/v2/alerts".to_owned()),
    ] {
        let (stub, address, _) = Stub::start(0).await;
        stub.set(mood.clone());
        let (notifier, _) = notifier();
        let mut settings = settings(&[&address]);
        settings.alertmanagers[0].timeout = Duration::from_millis(100);
        notifier.apply(settings).unwrap();
        notifier.tell(vec![firing(1, 1), firing(2, 1)]);
        eventually("it is tried again", || stub.requests() >= 2).await;
        notifier.tell(vec![just_gone(2), firing(3, 1)]);
        stub.set(Mood::Fine);
        eventually("the truth", || stub.holds() == "1+ 2- 3+").await;
        eventually("delivered", || {
            let status = &notifier.status().active[0];
            (status.undelivered, status.refused, &status.last_error) == (0, 0, &None)
        })
        .await;
    }
    let (stub, address, _) = Stub::start(0).await;
    stub.set(Mood::RedirectsTo(format!("http://{elsewhere_address}/api/v2/alerts")));
    let (notifier, _) = notifier();
    notifier.apply(settings(&[&address])).unwrap();
    notifier.tell(vec![firing(1, 1)]);
    eventually_holds(&elsewhere, "1+").await;
}

#[tokio::test]
async fn a_refused_alert_is_found_and_the_others_go_through() {
    let (stub, address, _) = Stub::start(0).await;
    stub.set(Mood::RefusesAlerts(vec!["rule 7", "rule 40"]));
    let (notifier, registry) = notifier();
    notifier.tell((0..50).map(|rule| firing(rule, 1)).collect());
    notifier.apply(settings(&[&address])).unwrap();
    let done = || notifier.status().active[0].undelivered == 0;
    eventually("all but two are accepted", done).await;
    assert_eq!(stub.alerts.lock().len(), 48);
    assert_eq!(notifier.status().active[0].refused, 2);
    assert_eq!(metric(&registry, "bellwether_notifications_rejected_total"), Some(2.0));
    assert!(metric(&registry, "prometheus_notifications_sent_total") >= Some(48.0));

    stub.set(Mood::Fine);
    notifier.tell(vec![just_gone(7)]);
    eventually("what changed is tried anew", || stub.holds().contains(" 7-")).await;
    assert!(!stub.holds().contains(" 40"));
}

#[tokio::test]
async fn where_everything_is_refused_nothing_is_left_out() {
    let (stub, address, _) = Stub::start(0).await;
    stub.set(Mood::Status(400));
    let (notifier, _) = notifier();
    notifier.tell((0..100).map(|rule| firing(rule, 1)).collect());
    notifier.apply(settings(&[&address])).unwrap();
    eventually("it is tried again", || stub.requests() > 2 * 34).await;
    let status = &notifier.status().active[0];
    assert_eq!((status.undelivered, status.refused), (100, 0));
    stub.set(Mood::RefusesAlertsAndNothing(vec!["rule 0", "rule 99"]));
    eventually("all but two are accepted", || notifier.status().active[0].undelivered == 0).await;
    assert_eq!((stub.alerts.lock().len(), notifier.status().active[0].refused), (98, 2));
}

/// A gateway may take offence at a text, a bug at a label: that is one alert's bad luck, not everybody's.
#[tokio::test]
async fn an_alert_that_makes_every_request_fail_holds_up_no_other() {
    for status in [500, 403] {
        let (stub, address, _) = Stub::start(0).await;
        stub.set(Mood::Chokes("rule 7", status));
        let (notifier, _) = notifier_with(NotifyOptions { resend_delay: Duration::from_millis(500), ..options() });
        notifier.tell((0..300).map(|rule| firing(rule, 1)).collect());
        notifier.apply(settings(&[&address])).unwrap();
        eventually("all others are accepted", || stub.alerts.lock().len() == 299).await;
        eventually("it alone is undelivered", || notifier.status().active[0].undelivered == 1).await;
        let ends = || -> Vec<Value> { stub.alerts.lock().values().map(|alert| alert["endsAt"].clone()).collect() };
        let before = ends();
        eventually("all others are sent again", || ends().iter().zip(&before).all(|(now, was)| now != was)).await;
        stub.set(Mood::Fine);
        eventually("it is accepted in the end", || stub.alerts.lock().len() == 300).await;
    }
}

#[tokio::test]
async fn an_alertmanager_that_comes_back_to_the_configuration_is_told_what_resolved_meanwhile() {
    let (stub, address, _) = Stub::start(0).await;
    let (_, other_address, _) = Stub::start(0).await;
    let (notifier, _) = notifier();
    notifier.apply(settings(&[&address])).unwrap();
    notifier.tell(vec![firing(1, 1), firing(2, 1)]);
    eventually_holds(&stub, "1+ 2+").await;
    notifier.apply(settings(&[&other_address])).unwrap();
    notifier.tell(vec![just_gone(2)]);
    eventually("it is routed", || notifier.status().active[0].undelivered == 0).await;
    notifier.apply(settings(&[&address])).unwrap();
    eventually_holds(&stub, "1+ 2-").await;
}

/// Or else the loop that leaves could deliver, late, what the new one has long overtaken.
#[tokio::test]
async fn an_alertmanager_that_comes_back_while_it_leaves_is_served_by_one_loop() {
    let (stub, address, _) = Stub::start(0).await;
    stub.set(Mood::Status(500));
    let (notifier, registry) = notifier_with(NotifyOptions { removed_drain: Duration::from_secs(60), ..options() });
    notifier.apply(settings(&[&address])).unwrap();
    notifier.tell(vec![firing(1, 1)]);
    eventually("it is tried", || stub.requests() > 0).await;
    notifier.apply(NotifySettings::default()).unwrap();
    notifier.apply(settings(&[&address])).unwrap();
    eventually("one owes", || metric(&registry, "bellwether_notifications_undelivered") == Some(1.0)).await;
    stub.set(Mood::Fine);
    eventually_holds(&stub, "1+").await;
    assert_eq!(metric(&registry, "prometheus_notifications_sent_total"), Some(1.0));
}

#[tokio::test]
async fn batches_that_are_too_large_are_made_smaller() {
    let (stub, address, _) = Stub::start(0).await;
    stub.set(Mood::TakesAtMost(10));
    let (notifier, _) = notifier();
    notifier.tell((0..300).map(|rule| firing(rule, 1)).collect());
    notifier.apply(settings(&[&address])).unwrap();
    eventually("all are accepted", || stub.alerts.lock().len() == 300).await;
    assert_eq!(notifier.status().active[0].refused, 0);
    assert_eq!(stub.requests.lock()[0], 256);
}

#[tokio::test]
async fn firing_alerts_are_sent_again_while_nothing_new_is_told() {
    let (stub, address, _) = Stub::start(0).await;
    let (notifier, _) = notifier_with(NotifyOptions { resend_delay: Duration::from_millis(20), ..options() });
    notifier.apply(settings(&[&address])).unwrap();
    notifier.tell(vec![firing(1, 1)]);
    eventually("sent often", || stub.requests() > 3).await;
    let ends_at = |stub: &Stub| stub.alerts.lock()["1"]["endsAt"].clone();
    let before = ends_at(&stub);
    eventually("its end moves on", || ends_at(&stub) != before).await;
}

#[tokio::test]
async fn a_reload_keeps_what_is_undelivered_and_moves_alerts_to_new_labels() {
    let (one, one_address, _) = Stub::start(0).await;
    let (two, two_address, _) = Stub::start(0).await;
    one.set(Mood::Status(500));
    let (notifier, registry) = notifier();
    notifier.apply(settings(&[&one_address])).unwrap();
    notifier.tell(vec![firing(1, 1), firing(2, 1)]);
    eventually("undelivered", || notifier.status().active[0].undelivered == 2).await;
    notifier.tell(vec![gone(2)]);

    // One more Alertmanager, the old one in another place and with another timeout.
    let mut more = settings(&[&two_address, &one_address]);
    more.alertmanagers[1].timeout = Duration::from_millis(400);
    notifier.apply(more.clone()).unwrap();
    eventually("the new one is told what fires", || two.holds() == "1+").await;
    assert_eq!(notifier.status().active[1].undelivered, 2);
    one.set(Mood::Fine);
    eventually_holds(&one, "1+ 2-").await;

    // New external labels: the old label sets are resolved, where they were known.
    let labeled = NotifySettings { external_labels: Labels::from_pairs([("site", "x")]), ..more.clone() };
    notifier.apply(labeled).unwrap();
    eventually_holds(&two, "1- 1/site=x+").await;
    eventually_holds(&one, "1- 1/site=x+ 2-").await;

    // What cannot be built changes nothing.
    let mut broken = settings(&[&two_address]);
    broken.alertmanagers[0].http.tls.server_name = Some("not a name".to_owned());
    let error = notifier.apply(broken).unwrap_err().to_string();
    assert!(error.starts_with("alerting.alertmanagers[0]: tls_config.server_name"), "{error}");
    assert_eq!(notifier.status().active.len(), 2);

    // One goes: it is told what it is owed, then its series leave.
    two.set(Mood::Busy(3));
    notifier.tell(vec![firing(3, 1)]);
    let fewer = NotifySettings { external_labels: Labels::from_pairs([("site", "x")]), ..settings(&[&one_address]) };
    notifier.apply(fewer).unwrap();
    eventually_holds(&two, "1- 1/site=x+ 3/site=x+").await;
    eventually("one series is left", || {
        let families = registry.gather();
        let sent = families.iter().find(|family| family.name() == "prometheus_notifications_sent_total");
        sent.is_some_and(|sent| sent.get_metric().len() == 1)
    })
    .await;
    assert_eq!(metric(&registry, "prometheus_notifications_alertmanagers_discovered"), Some(1.0));
}

#[tokio::test]
async fn blocks_that_name_one_url_have_an_outbox_each() {
    let (stub, address, _) = Stub::start(0).await;
    let tenant = |name: &str| -> AlertmanagerConfig {
        let mut block = block(std::slice::from_ref(&address));
        let value = crate::config::SecretText::Inline(crate::config::Secret::new(name));
        block.http.http_headers.insert("X-Scope-OrgID".to_owned(), vec![value]);
        block
    };
    let (notifier, registry) = notifier();
    let with = |alertmanagers| NotifySettings { alertmanagers, ..NotifySettings::default() };
    notifier.apply(with(vec![tenant("a"), tenant("b")])).unwrap();
    notifier.tell(vec![firing(1, 1)]);
    let sent = || metric(&registry, "prometheus_notifications_sent_total");
    eventually("both sent", || sent() == Some(2.0)).await;
    notifier.apply(with(vec![tenant("b"), tenant("a")])).unwrap();
    notifier.apply(with(vec![tenant("a")])).unwrap();
    assert_eq!(notifier.status().active.len(), 1);
    // Time for the other to leave, and to take nothing with it that is still in use.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((sent(), stub.requests()), (Some(2.0), 2), "nothing was sent anew");
}

#[tokio::test]
async fn a_drain_delivers_what_it_can_and_says_what_is_left() {
    let (well, well_address, _) = Stub::start(0).await;
    let (hung, hung_address, _) = Stub::start(0).await;
    well.set(Mood::Status(500));
    hung.set(Mood::Never);
    let slow = Backoff { slow: Duration::from_secs(60), min: Duration::from_secs(60), ..options().backoff };
    let (notifier, registry) = notifier_with(NotifyOptions { backoff: slow, ..options() });
    notifier.apply(settings(&[&well_address, &hung_address])).unwrap();
    notifier.tell(vec![firing(1, 1), firing(2, 1)]);
    eventually("it rests after a failure", || notifier.status().active[0].last_error.is_some()).await;
    well.set(Mood::Fine);
    notifier.tell(vec![gone(2)]);
    let report = notifier.drain(Duration::from_millis(300)).await;
    assert_eq!(well.holds(), "1+ 2-");
    let figures: Vec<(usize, usize)> = report.alertmanagers.iter().map(|one| (one.delivered, one.left)).collect();
    assert_eq!(figures, [(2, 0), (0, 2)]);
    assert_eq!((report.delivered(), report.left()), (2, 2));
    assert_eq!(metric(&registry, "prometheus_notifications_sent_total"), None);
}

fn rule(action: &str, source: &str, regex: &str, target: &str, replacement: &str) -> RelabelRule {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let source_labels = some(source).map(|name| vec![name]);
    let (regex, target_label, replacement) = (some(regex), some(target), some(replacement));
    let action = some(action);
    RelabelRule::new(RelabelSpec { source_labels, regex, target_label, replacement, action, ..Default::default() })
        .unwrap()
}

#[tokio::test]
async fn relabeling_decides_who_sees_an_alert_under_which_labels() {
    let (all, all_address, _) = Stub::start(0).await;
    let (some, some_address, _) = Stub::start(0).await;
    let (notifier, _) = notifier();
    let mut settings = settings(&[&all_address, &some_address]);
    // Globally every alert gets a team; the second Alertmanager sees rule 1 only, and under another name.
    settings.relabel = vec![rule("replace", "alertname", "rule (.)", "team", "t$1")];
    settings.alertmanagers[1].alert_relabel =
        vec![rule("keep", "team", "t1", "", ""), rule("replace", "", "", "alertname", "renamed")];
    notifier.apply(settings.clone()).unwrap();
    notifier.tell(vec![firing(1, 1), firing(2, 1)]);
    eventually_holds(&all, "1/team=t1+ 2/team=t2+").await;
    eventually_holds(&some, "renamed/team=t1+").await;

    // Both become one alert at the second: it fires while one of them does.
    settings.alertmanagers[1].alert_relabel =
        vec![rule("replace", "", "", "alertname", "both"), rule("labeldrop", "", "team", "", "")];
    notifier.apply(settings.clone()).unwrap();
    eventually_holds(&some, "both+ renamed/team=t1-").await;
    assert_eq!(all.holds(), "1/team=t1+ 2/team=t2+");
    notifier.tell(vec![gone(1)]);
    eventually_holds(&all, "1/team=t1- 2/team=t2+").await;
    assert_eq!(some.holds(), "both+ renamed/team=t1-");
    notifier.tell(vec![gone(2)]);
    eventually_holds(&some, "both- renamed/team=t1-").await;

    // A target that relabeling drops is shown, and served no longer.
    settings.alertmanagers[1].relabel = vec![rule("drop", "__address__", ".*", "", "")];
    notifier.apply(settings).unwrap();
    let status = notifier.status();
    assert_eq!((status.active.len(), status.dropped), (1, vec![format!("http://{some_address}/api/v2/alerts")]));
}
