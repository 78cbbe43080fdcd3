//! What the documents say is so: flags, metrics, keys, examples, links, rule files and manifests.

#![allow(clippy::print_stderr, reason = "a test says what it could not check")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;

const BELLWETHER: &str = env!("CARGO_BIN_EXE_bellwether");
const README_RUN: &str = "    cargo run --release -- run --source.url http://localhost:9090 --alertmanager.url \
                          http://localhost:9093 --rule-file 'rules/*.yml'\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files of a directory with that ending, sorted, relative to the root.
fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(root().join(directory))
        .into_iter()
        .map(|entry| entry.expect("a directory of ours can be read").into_path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .map(|path| path.strip_prefix(root()).expect("found under the root").to_owned())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {ending} under {directory}");
    found
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files("docs", ".md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from));
    documents
}

/// The first group of every match.
fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).expect("a pattern of this file").captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn missing(what: &BTreeSet<String>, from: &BTreeSet<String>) -> Vec<String> {
    what.difference(from).cloned().collect()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(BELLWETHER).current_dir(root()).arg("run").args(arguments).output().expect("bellwether can be started")
}

fn flags() -> BTreeSet<String> {
    let help = String::from_utf8(run(&["--help"]).stdout).expect("help is UTF-8");
    let flags = all(r"(?m)^\s+(?:-\w, )?--([a-z][a-z.-]*)", &help);
    assert!(flags.len() > 20 && flags.contains("source.url"), "{flags:?}");
    flags.into_iter().filter(|flag| flag != "help").collect()
}

/// Names of metrics that the source registers: every text of that form outside of tests.
fn metrics() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("src", ".rs").iter().filter(|path| !path.to_string_lossy().contains("test")) {
        let text = read(path);
        let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        names.extend(all(r#""((?:prometheus|bellwether)_[a-z0-9_]+)""#, text));
    }
    assert!(names.len() > 40, "{names:?}");
    names
}

#[test]
fn every_flag_is_in_the_documents_and_no_other() {
    let documented = all(r"(?m)^\| `--([a-z.-]+)` \|", &read("docs/flags.md"));
    let flags = flags();
    assert_eq!(missing(&flags, &documented), [""; 0], "in --help, not in docs/flags.md");
    assert_eq!(missing(&documented, &flags), [""; 0], "in docs/flags.md, not in --help");
}

#[test]
fn flags_that_documents_and_units_use_are_there() {
    let flags = flags();
    // Of cargo, Prometheus and kubectl, and what every program has.
    let foreign = [
        "release",
        "locked",
        "help",
        "from-file",
        "storage.tsdb.path",
        "web.enable-remote-write-receiver",
        "query.max-concurrency",
    ];
    let known = |flag: &String| flags.contains(flag) || foreign.contains(&flag.as_str());
    let mut used_in = documents();
    used_in.extend(files("deploy", ""));
    used_in.extend(files("rules", ""));
    for path in used_in.into_iter().filter(|path| root().join(path).is_file()) {
        let used = all(r"(?:^|[\s`('])--([a-z][a-z.-]*[a-z])", &read(&path));
        let unknown: Vec<String> = used.into_iter().filter(|flag| !known(flag)).collect();
        assert_eq!(unknown, [""; 0], "{}", path.display());
    }
}

#[test]
fn every_metric_is_in_the_documents_and_no_other() {
    let documented = all(r"`((?:prometheus|bellwether)_[a-z0-9_]+)`", &table_cells(&read("docs/metrics.md")));
    let metrics = metrics();
    assert_eq!(missing(&metrics, &documented), [""; 0], "in the source, not in docs/metrics.md");
    assert_eq!(missing(&documented, &metrics), [""; 0], "in docs/metrics.md, not in the source");
}

fn table_cells(text: &str) -> String {
    text.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1)).collect()
}

#[test]
fn metrics_that_rules_and_dashboards_use_are_there() {
    let metrics = metrics();
    let known = |name: &str| {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        metrics.contains(name) || family.is_some_and(|family| metrics.contains(family))
    };
    for path in ["rules/bellwether.yml", "deploy/grafana-dashboard.json", "README.md"] {
        let used = all(r"\b((?:prometheus|bellwether)_[a-z0-9_]+)[\[{ ]", &read(path));
        assert!(used.len() > 3, "{path}: {used:?}");
        let unknown: Vec<&String> = used.iter().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

/// Every key that a section of the configuration reads or takes, by the tables of the source.
#[test]
fn every_key_of_the_configuration_is_in_the_documents() {
    let lists = Regex::new(r"(?s)(?:read|unused|passed): &\[(.*?)\]").unwrap();
    let reference = read("docs/configuration.md");
    let mut keys = BTreeSet::new();
    for path in files("src/config", ".rs") {
        let text = read(&path);
        for list in lists.captures_iter(&text) {
            keys.extend(all(r#""([a-z0-9_]+)""#, &list[1]));
        }
    }
    assert!(keys.len() > 100, "{keys:?}");
    // Told of as a whole: discovery, and what only scraping reads.
    let whole = |key: &str| {
        key.ends_with("_sd_configs")
            || [
                "scrape_",
                "body_size",
                "label_",
                "sample_limit",
                "target_limit",
                "keep_dropped",
                "metric_name_escaping",
            ]
            .iter()
            .any(|start| key.starts_with(start))
            || ["always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb", "extra_scrape_metrics"]
                .contains(&key)
    };
    let untold: Vec<&String> = keys
        .iter()
        .filter(|key| !whole(key))
        .filter(|key| !Regex::new(&format!(r"\b{key}\b")).unwrap().is_match(&reference))
        .collect();
    assert!(untold.is_empty(), "not in docs/configuration.md: {untold:?}");
}

/// The blocks of a document that begin with ```` ```yaml bellwether ````, without their indentation.
fn examples(text: &str) -> Vec<String> {
    let blocks = Regex::new(r"(?ms)^( *)```yaml bellwether\n(.*?)^ *```$").expect("a pattern");
    let unindented = |indent: &str, block: &str| -> String {
        block.lines().map(|line| line.strip_prefix(indent).unwrap_or(line).to_owned() + "\n").collect()
    };
    blocks.captures_iter(text).map(|block| unindented(&block[1], &block[2])).collect()
}

fn assert_loads(name: &str, yaml: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("bellwether.yml");
    fs::write(&file, yaml).expect("a file can be written");
    let output = run(&["--dry-run", "--config.file", &file.to_string_lossy()]);
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{yaml}\n{faults}");
}

#[test]
fn examples_of_the_configuration_load() {
    let mut count = 0;
    for path in documents() {
        for example in examples(&read(&path)) {
            assert_loads(&path.display().to_string(), &example);
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} examples found");
}

#[test]
fn configurations_of_the_manifests_load() {
    let mut count = 0;
    for path in files("deploy/kubernetes", ".yaml") {
        for document in serde_yaml::Deserializer::from_str(&read(&path)) {
            let value: serde_yaml::Value = serde::Deserialize::deserialize(document).unwrap();
            assert!(value["kind"].is_string(), "{}", path.display());
            if let Some(config) = value["data"]["bellwether.yml"].as_str() {
                assert_loads(&path.display().to_string(), config);
                count += 1;
            }
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn shipped_rules_are_valid() {
    for compat in ["bellwether", "promtool"] {
        let output = run(&["--dry-run", "--compat", compat, "--rule-file", "rules/*.yml"]);
        let faults = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && faults.is_empty(), "{compat}:\n{faults}");
    }
    let peers = std::env::var_os("BELLWETHER_PEERS").filter(|folder| !folder.is_empty());
    let folders = peers.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let promtool = std::env::split_paths(&folders).map(|folder| folder.join("promtool")).find(|path| path.is_file());
    let Some(promtool) = promtool else {
        return eprintln!("skipped: shipped rules by promtool: it is not in BELLWETHER_PEERS or on PATH");
    };
    for (command, paths) in [("check", files("rules", ".yml")), ("test", files("rules/tests", ".yml"))] {
        let paths = paths.into_iter().filter(|path| command == "test" || !path.starts_with("rules/tests"));
        let output = Command::new(&promtool).current_dir(root()).args([command, "rules"]).args(paths).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {command} rules:\n{said}");
    }
}

#[test]
fn alerts_of_shipped_rules_help() {
    for path in files("rules", ".yml").iter().filter(|path| !path.starts_with("rules/tests")) {
        let file: serde_yaml::Value = serde_yaml::from_str(&read(path)).unwrap();
        for group in file["groups"].as_sequence().unwrap() {
            for rule in group["rules"].as_sequence().unwrap().iter().filter(|rule| rule["alert"].is_string()) {
                let has = |section: &str, key: &str| rule[section][key].as_str().is_some_and(|text| !text.is_empty());
                let whole =
                    has("labels", "severity") && has("annotations", "summary") && has("annotations", "description");
                assert!(whole, "{}: {:?}", path.display(), rule["alert"]);
            }
        }
    }
}

#[test]
fn the_readme_has_its_two_commands() {
    let readme = read("README.md");
    assert!(readme.contains(README_RUN));
    assert!(Regex::new(r"(?m)^    cargo test\b").unwrap().is_match(&readme));
}

#[test]
fn without_a_source_run_says_what_is_missing() {
    let output = run(&["--rule-file", "rules/*.yml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--source.url"), "{said}");
}

#[test]
fn links_lead_somewhere() {
    for path in documents() {
        let directory = path.parent().unwrap().to_owned();
        for link in all(r"\]\(([^)#\s]+)[^)]*\)", &read(&path)).iter().filter(|link| !link.contains("://")) {
            assert!(root().join(&directory).join(link).exists(), "{}: {link}", path.display());
        }
    }
}
