//! Flags, exit codes, and what people are told.

use std::fs;

use crate::harness::bellwether::call;
use crate::harness::*;

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("a file can be written");
    }
    directory
}

const RULES: &str = "groups: [{name: g, rules: [{alert: Loaded, expr: load > 1}]}]";

#[tokio::test(flavor = "multi_thread")]
async fn run_without_a_source_names_the_missing_flag() {
    let directory = directory(&[("rules.yml", RULES), ("empty.yml", "global: {}\n")]);
    for arguments in [&["run", "--rule-file=rules.yml"][..], &["run", "--config.file=empty.yml"]] {
        let said = call(directory.path(), arguments).await;
        assert_eq!(said.code, Some(2), "{}", said.text);
        assert!(said.text.contains("--source.url"), "{}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_configuration_are_told_with_their_places() {
    let config = "global:\n  evaluation_intervall: 1s\nalerting:\n  alertmanagers:\n    - timeout: soon\n\
                  sources:\n  - {name: a, type: prometheus, url: 'not a url'}\n";
    let directory = directory(&[("bellwether.yml", config)]);
    for extra in [&["--dry-run"][..], &[]] {
        let arguments = [&["run", "--config.file=bellwether.yml"][..], extra].concat();
        let said = call(directory.path(), &arguments).await;
        assert_eq!(said.code, Some(2), "{}", said.text);
        for expect in ["bellwether.yml:2:3", "evaluation_interval", "bellwether.yml:5:16", "bellwether.yml:7:"] {
            assert!(said.text.contains(expect), "{expect}: {}", said.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_checks_configuration_and_rules_and_ends() {
    let config = |rules: &str| {
        format!(
            "{}\n",
            Config::new("http://127.0.0.1:1".into(), &[]).to_yaml().replace("rules/*.yml", &format!("'{rules}'"))
        )
    };
    let (good, bad) = (config("good.rules"), config("*.rules"));
    let faulty = "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum(load\n      - alert: B\n        expr: load > 1\n        for: soon\n";
    let directory = directory(&[("good.yml", &good), ("bad.yml", &bad), ("good.rules", RULES), ("bad.rules", faulty)]);
    let said = call(directory.path(), &["run", "--dry-run", "--config.file=good.yml"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let said = call(directory.path(), &["run", "--dry-run", "--config.file=bad.yml"]).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    for expect in ["bad.rules:5:", "bad.rules:8:"] {
        assert!(said.text.contains(expect), "{expect}: {}", said.text);
    }
    let flags = ["run", "--dry-run", "--source.url=http://127.0.0.1:1", "--rule-file=bad.rules"];
    let said = call(directory.path(), &flags).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    let said = call(directory.path(), &["run", "--dry-run", "--config.file=missing.yml"]).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.text.contains("missing.yml"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_alone_are_enough() {
    let (source, one, other) = tokio::join!(
        PrometheusStub::start(),
        AlertmanagerStub::start(Behaviour::Accept),
        AlertmanagerStub::start(Behaviour::Accept)
    );
    source.set("load > 1", [("n", "1")], 2.0);
    source.set("load > 2", [("n", "2")], 2.0);
    let second = RULES.replace("Loaded", "MoreLoaded").replace("> 1", "> 2");
    let bellwether = Bellwether::bare()
        .argument(format!("--source.url={}", source.url()))
        .argument(format!("--alertmanager.url=http://{}", one.address))
        .argument(format!("--alertmanager.url=http://{}", other.address))
        .argument("--rule-file=rules/*.yml")
        .argument("--rule-file=more/**/*.yml")
        .argument("--external-label=cluster=eu")
        .argument("--evaluation-interval=1s")
        .argument("--alert.source-url=http://dash.example/?q={{ $labels.__expr__ | urlQueryEscape }}")
        .file("rules/rules.yml", RULES)
        .file("more/deep/down/rules.yml", &second)
        .start()
        .await;
    for alertmanager in [&one, &other] {
        for name in ["Loaded", "MoreLoaded"] {
            let wanted = labels([("alertname", name), ("cluster", "eu")]);
            eventually("it fires", secs(10), async || alertmanager.firing(&wanted)).await;
        }
        let posted = alertmanager.firing(&labels([("alertname", "Loaded")])).expect("it fires");
        assert_eq!(posted.raw["generatorURL"], "http://dash.example/?q=load+%3E+1", "{posted:?}");
    }
    let known = http::api(&bellwether.url(), "alertmanagers", &[]).await.expect("an answer");
    assert_eq!(known["activeAlertmanagers"].as_array().map(Vec::len), Some(2), "{known}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_so() {
    let source = PrometheusStub::start().await;
    let config = Config::new(source.url(), &[]);
    let first = Bellwether::with(&config, RULES).start().await;
    let address = format!("--web.listen-address={}", first.address());
    let said = call(&first.path(""), &["run", "--config.file=bellwether.yml", &address]).await;
    assert!(said.code.is_some_and(|code| code != 0), "{}", said.text);
    assert!(said.text.contains(&first.address()) && said.text.contains("in use"), "{}", said.text);
    first.healthy("Loaded", "unknown").await.or(first.healthy("Loaded", "ok").await).expect("the first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_links_to_the_graph_page_lead_to_the_source() {
    let source = PrometheusStub::start().await;
    let bellwether = Bellwether::with(&Config::new(source.url(), &[]), RULES).start().await;
    let link = format!("{}/graph?g0.expr=load+%3E+1&g0.tab=1", bellwether.url());
    let location = http::location(&link).await.expect("a redirect");
    assert!(location.starts_with(&format!("{}/graph?g0.expr=load", source.url())), "{location}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_nowhere() {
    let (source, refusing) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Answer(401)));
    source.set("load > 1", [("n", "1")], 2.0);
    let with_user = |url: &str| url.replace("http://", "http://somebody:s3cret@");
    let config = Config::new(with_user(&source.url()), &[&refusing.address]).to_yaml();
    let config = config
        .replace("- timeout: 1s\n", "- timeout: 1s\n      basic_auth: {username: a, password: s3cret}\n")
        + "remote_write:\n  - url: http://127.0.0.1:1/write\n    authorization: {credentials: s3cret}\n";
    let bellwether = Bellwether::with_text(&config, RULES)
        .argument(format!("--alertmanager.url={}", with_user(&format!("http://{}", refusing.address))))
        .argument("--log.level=debug")
        .start()
        .await;
    let loaded = labels([("alertname", "Loaded")]);
    bellwether.wait_for(&loaded, "firing", secs(10)).await;
    eventually("a refusal is logged", secs(10), async || {
        if bellwether.log().contains("401") { Ok(()) } else { Err(bellwether.log()) }
    })
    .await;
    // Errors of the source quote its URL.
    source.fail(Some(Fault::CutOff));
    eventually("the rule fails", secs(5), async || bellwether.healthy("Loaded", "err").await).await;
    let pages = ["metrics", "api/v1/rules", "api/v1/alerts", "api/v1/alertmanagers", "api/v1/status/config"];
    for page in pages.into_iter().chain(["api/v1/status/flags", "api/v1/status/runtimeinfo"]) {
        let answer = http::get(&format!("{}/{page}", bellwether.url())).await.expect("an answer");
        assert_eq!(answer.status, 200, "{page}: {}", answer.text);
        assert!(!answer.text.contains("s3cret"), "{page}: {}", answer.text);
    }
    assert!(!bellwether.log().contains("s3cret"), "{}", bellwether.log());
}
