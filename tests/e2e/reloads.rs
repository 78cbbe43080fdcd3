//! New configuration and rules under a running ruler.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::*;

const KEPT: &str =
    "groups: [{name: kept, rules: [{alert: Kept, expr: kept > 0}, {alert: Waits, expr: kept > 0, for: 1h}]}]";

const BEFORE: &str = "
groups:
  - name: changing
    rules:
      - {alert: Relabelled, expr: load > 1, labels: {tier: a}}
      - {alert: Removed, expr: load > 1}
      - {alert: Longer, expr: load > 1}
  - name: removed group
    rules:
      - {alert: RemovedWithGroup, expr: load > 1}
";

const AFTER: &str = "
groups:
  - name: changing
    rules:
      - {alert: Relabelled, expr: load > 1, labels: {tier: b}}
      - {alert: Longer, expr: load > 1, for: 1h}
      - {alert: New, expr: load > 1}
";

fn alert(name: &str) -> Labels {
    labels([("alertname", name)])
}

async fn source() -> PrometheusStub {
    let source = PrometheusStub::start().await;
    source.set("kept > 0", [("n", "1")], 1.0);
    source.set("load > 1", [("n", "1")], 2.0);
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_new_rules_keeps_what_did_not_change_and_ends_what_is_gone() {
    let source = source().await;
    let (alertmanager, late) =
        tokio::join!(AlertmanagerStub::start(Behaviour::Accept), AlertmanagerStub::start(Behaviour::Answer(500)));
    let config = Config::new(source.url(), &[&alertmanager.address, &late.address]);
    let bellwether = Bellwether::with(&config, BEFORE).file("rules/kept.yml", KEPT).start().await;
    for name in ["Kept", "Relabelled", "Removed", "Longer", "RemovedWithGroup"] {
        eventually("it fires", secs(10), async || alertmanager.firing(&alert(name))).await;
    }
    let kept = bellwether.alert(&alert("Kept")).await.expect("it fires");
    let waits = bellwether.wait_for(&alert("Waits"), "pending", secs(5)).await;

    bellwether.write("rules/rules.yml", AFTER);
    bellwether.signal("HUP");
    let [tier_a, tier_b] = ["a", "b"].map(|tier| labels([("alertname", "Relabelled"), ("tier", tier)]));
    for alertmanager in [&alertmanager, &late] {
        // Whoever was away through the reload is owed the same.
        alertmanager.behave(Behaviour::Accept);
        for firing in [&alert("New"), &tier_b, &alert("Kept")] {
            eventually("it fires", secs(15), async || alertmanager.firing(firing)).await;
        }
    }
    for ended in [&tier_a, &alert("Removed"), &alert("Longer"), &alert("RemovedWithGroup")] {
        eventually("its end is told", secs(10), async || alertmanager.resolved(ended)).await;
        assert!(late.firing(ended).is_err(), "{ended:?} does not fire where it never did");
    }
    bellwether.wait_for(&alert("Longer"), "pending", secs(5)).await;
    for (name, before) in [("Kept", &kept), ("Waits", &waits)] {
        let after = bellwether.alert(&alert(name)).await.expect("it is active");
        assert_eq!(after["activeAt"], before["activeAt"], "{name} was not disturbed");
    }
    assert!(alertmanager.accepted(&alert("Kept")).iter().all(|posted| !posted.is_resolve()), "it never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_says_why() {
    let source = source().await;
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    let config = Config::new(source.url(), &[&alertmanager.address]);
    let bellwether = Bellwether::with(&config, KEPT).start().await;
    let before = bellwether.wait_for(&alert("Kept"), "firing", secs(10)).await;
    let successful = async || bellwether.metric("prometheus_config_last_reload_successful", &[]).await;
    assert_eq!(successful().await, Ok(1.0));

    let broken_rules = "groups:\n  - name: kept\n    rules:\n      - alert: Kept\n        expr: sum(kept\n";
    let broken_config = config.to_yaml() + "remote_wirte: []\n";
    for (file, text, position) in
        [("rules/rules.yml", broken_rules, "rules.yml:5:"), ("bellwether.yml", &broken_config, "remote_write")]
    {
        let good = fs::read_to_string(bellwether.path(file)).expect("it is there");
        bellwether.write(file, text);
        let answer = bellwether.reload().await.expect("an answer");
        assert_eq!(answer.status, 500, "{}", answer.text);
        assert!(answer.text.contains(position), "{position}: {}", answer.text);
        assert_eq!(successful().await, Ok(0.0));
        let info = http::api(&bellwether.url(), "status/runtimeinfo", &[]).await.expect("an answer");
        assert_eq!(info["reloadConfigSuccess"], false, "{info}");
        assert!(bellwether.log().contains(position), "the log says why");
        hold("the old rules go on", secs(2), async || {
            let alert = bellwether.alert_in(&alert("Kept"), "firing").await?;
            let rule = bellwether.healthy("Kept", "ok").await?;
            let age_ms = now_ms() - parse_ms(&rule["lastEvaluation"]);
            if alert["activeAt"] == before["activeAt"] && age_ms < 3000 {
                Ok(())
            } else {
                Err(format!("{alert} {rule}"))
            }
        })
        .await;
        bellwether.write(file, &good);
        let answer = bellwether.reload().await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(successful().await, Ok(1.0));
    }
    let after = bellwether.alert(&alert("Kept")).await.expect("it fires");
    assert_eq!(after["activeAt"], before["activeAt"]);
    assert!(alertmanager.accepted(&alert("Kept")).iter().all(|posted| !posted.is_resolve()), "it never ended");
}

/// As the kubelet does it: a new directory, then a link that is renamed over the old one.
fn mount_config_map(directory: &Path, version: &str, files: &[(&str, &str)]) {
    let data = directory.join(format!("..{version}"));
    fs::create_dir_all(&data).expect("a directory can be made");
    for (name, text) in files {
        fs::write(data.join(name), text).expect("a file can be written");
        if !directory.join(name).exists() {
            symlink(Path::new("..data").join(name), directory.join(name)).expect("a link can be made");
        }
    }
    symlink(format!("..{version}"), directory.join("..data_tmp")).expect("a link can be made");
    let old = fs::read_link(directory.join("..data"));
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).expect("a link can be renamed");
    if let Ok(old) = old {
        fs::remove_dir_all(directory.join(old)).expect("the old directory can go");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_reload_sees_the_swap_of_a_mounted_config_map() {
    let source = source().await;
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    let config = Config::new(source.url(), &[&alertmanager.address]).to_yaml().replace("rules/*.yml", "'*.rules'");
    let setup = Bellwether::bare()
        .argument("--config.file=mounted/bellwether.yml")
        .argument("--config.auto-reload")
        .argument("--config.auto-reload-interval=1s");
    let mounted = setup.path("mounted");
    let files = |rules| [("bellwether.yml", config.as_str()), ("my.rules", rules)];
    mount_config_map(&mounted, "2024_01", &files(KEPT));
    let bellwether = setup.start().await;
    let before = bellwether.wait_for(&alert("Kept"), "firing", secs(10)).await;

    let with_new = format!("{KEPT}\n").replace("]}]", "]}, {name: new, rules: [{alert: New, expr: load > 1}]}]");
    mount_config_map(&mounted, "2024_02", &files(&with_new));
    eventually("the new rule fires", secs(15), async || alertmanager.firing(&alert("New"))).await;
    mount_config_map(&mounted, "2024_03", &files("groups: [{name: kept, rules: [{alert: Kept}]}]"));
    eventually("a broken one is told", secs(15), async || {
        match bellwether.metric("prometheus_config_last_reload_successful", &[]).await? {
            0.0 => Ok(()),
            value => Err(value.to_string()),
        }
    })
    .await;
    mount_config_map(&mounted, "2024_04", &files(KEPT));
    eventually("the new rule is gone", secs(15), async || alertmanager.resolved(&alert("New"))).await;
    let after = bellwether.alert(&alert("Kept")).await.expect("it fires");
    assert_eq!(after["activeAt"], before["activeAt"], "what did not change was not disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_external_label_ends_the_old_label_set_and_fires_the_new_one() {
    let source = source().await;
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    let config = Config::new(source.url(), &[&alertmanager.address]);
    let rules = KEPT.replace("{alert: Kept,", "{alert: Kept, annotations: {where: '{{ $externalLabels.cluster }}'},");
    let bellwether = Bellwether::with(&config.clone().external_label("cluster", "eu"), &rules).start().await;
    let [old, new] = ["eu", "us"].map(|cluster| labels([("alertname", "Kept"), ("cluster", cluster)]));
    eventually("it fires", secs(10), async || alertmanager.firing(&old)).await;
    let before = bellwether.alert(&alert("Kept")).await.expect("it fires");
    bellwether.write("bellwether.yml", &config.external_label("cluster", "us").to_yaml());
    let answer = bellwether.reload().await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    eventually("the new one fires", secs(10), async || {
        let posted = alertmanager.firing(&new)?;
        if posted.annotations["where"] == "us" { Ok(()) } else { Err(format!("{posted:?}")) }
    })
    .await;
    eventually("the old one has ended", secs(10), async || alertmanager.resolved(&old)).await;
    let after = bellwether.alert(&alert("Kept")).await.expect("it fires");
    assert_eq!(after["activeAt"], before["activeAt"], "the alert itself went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_is_added_is_told_what_fires_and_one_that_stays_notices_nothing() {
    let (first_source, second_source) = (source().await, source().await);
    let (stays, added) =
        tokio::join!(AlertmanagerStub::start(Behaviour::Accept), AlertmanagerStub::start(Behaviour::Accept));
    let config = Config::new(first_source.url(), &[&stays.address]);
    let bellwether = Bellwether::with(&config, KEPT).resend_delay("3s").start().await;
    eventually("it fires", secs(10), async || stays.firing(&alert("Kept"))).await;
    let before = [bellwether.alert(&alert("Kept")).await, bellwether.alert(&alert("Waits")).await];
    // A source that moves to another address is the same source as long as its name is.
    let config = Config::new(second_source.url(), &[&stays.address, &added.address]);
    bellwether.write("bellwether.yml", &config.to_yaml());
    let answer = bellwether.reload().await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    eventually("the added one knows", secs(10), async || added.firing(&alert("Kept"))).await;
    eventually("the new address is asked", secs(10), async || {
        if second_source.asked().is_empty() { Err("not asked") } else { Ok(()) }
    })
    .await;
    eventually("the rule is well", secs(5), async || bellwether.healthy("Kept", "ok").await).await;
    let after = [bellwether.alert(&alert("Kept")).await, bellwether.alert(&alert("Waits")).await];
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(before.expect("active")["activeAt"], after.expect("still active")["activeAt"]);
    }
    assert!(stays.accepted(&Labels::new()).iter().all(|posted| !posted.is_resolve()), "nothing ended");

    let config = Config::new(second_source.url(), &[&stays.address]);
    bellwether.write("bellwether.yml", &config.to_yaml());
    assert_eq!(bellwether.reload().await.expect("an answer").status, 200);
    let asked = added.requests().len();
    hold("one that is removed is left alone", secs(4), async || {
        let more = added.requests().len() - asked;
        if more == 0 { Ok(()) } else { Err(format!("{more} more requests")) }
    })
    .await;
    let left = http::metric(&bellwether.url(), "prometheus_notifications_sent_total", &[&added.address]).await;
    assert!(left.is_err(), "its series are gone: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reloads_keeps_nobody_from_being_evaluated_and_ends_nothing() {
    let source = source().await;
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    let bellwether = Bellwether::with(&Config::new(source.url(), &[&alertmanager.address]), KEPT).start().await;
    eventually("it fires", secs(10), async || alertmanager.firing(&alert("Kept"))).await;
    let before = bellwether.alert(&alert("Kept")).await.expect("it fires");
    let begin_ms = now_ms();
    let mut round = 0;
    while now_ms() < begin_ms + 6000 {
        round += 1;
        let rules = KEPT.replace("{alert: Kept,", &format!("{{alert: Kept, annotations: {{round: '{round}'}},"));
        bellwether.write("rules/rules.yml", &rules);
        let answer = bellwether.reload().await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        alertmanager.firing(&alert("Kept")).expect("it is sent again in time");
        let after = bellwether.alert(&alert("Kept")).await.expect("it fires");
        assert_eq!(after["activeAt"], before["activeAt"], "after {round} reloads");
        tokio::time::sleep(millis(150)).await;
    }
    let times: Vec<i64> = source.asked().iter().map(|asked| asked.at_ms).filter(|at| *at >= begin_ms).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(times.len() >= 4 && longest.is_some_and(|pause_ms| pause_ms < 2500), "{round} reloads, asked at {times:?}");
    eventually("the newest annotation is sent", secs(10), async || {
        let posted = alertmanager.firing(&alert("Kept"))?;
        if posted.annotations["round"] == round.to_string() { Ok(()) } else { Err(format!("{posted:?}")) }
    })
    .await;
    assert!(alertmanager.accepted(&alert("Kept")).iter().all(|posted| !posted.is_resolve()), "it never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_alert_relabeling_moves_what_fires_and_ends_what_is_dropped() {
    let source = source().await;
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    let config = Config::new(source.url(), &[&alertmanager.address]).to_yaml();
    let with = |relabeling: &str| {
        config.replace("alerting:\n", &format!("alerting:\n  alert_relabel_configs: [{relabeling}]\n"))
    };
    let bellwether = Bellwether::with_text(&with("{target_label: tier, replacement: a}"), KEPT).start().await;
    let [tier_a, tier_b] = ["a", "b"].map(|tier| labels([("alertname", "Kept"), ("tier", tier)]));
    eventually("it fires", secs(10), async || alertmanager.firing(&tier_a)).await;
    let before = bellwether.alert(&alert("Kept")).await.expect("it fires");
    bellwether.write("bellwether.yml", &with("{target_label: tier, replacement: b}"));
    assert_eq!(bellwether.reload().await.expect("an answer").status, 200);
    eventually("the new label set fires", secs(10), async || alertmanager.firing(&tier_b)).await;
    eventually("the old one has ended", secs(10), async || alertmanager.resolved(&tier_a)).await;
    bellwether.write("bellwether.yml", &with("{source_labels: [alertname], regex: Kept, action: drop}"));
    assert_eq!(bellwether.reload().await.expect("an answer").status, 200);
    eventually("what is dropped has ended", secs(10), async || alertmanager.resolved(&tier_b)).await;
    let after = bellwether.alert_in(&alert("Kept"), "firing").await.expect("here it fires on");
    assert_eq!(after["activeAt"], before["activeAt"]);
}
