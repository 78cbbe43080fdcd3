//! The house keeps its arrows: a room imports only rooms below it, and pure rooms stay pure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may import, itself aside. A room that is not here does not exist.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("diagnostic", &["model"]),
    ("relabel", &["diagnostic", "model"]),
    ("yaml", &["diagnostic"]),
    ("config", &["yaml", "relabel", "diagnostic", "model"]),
    ("telemetry", &["config", "relabel", "diagnostic", "model"]),
    ("clock", &["telemetry", "config", "relabel", "diagnostic", "model"]),
    ("wire", &["clock", "telemetry", "config", "relabel", "diagnostic", "model"]),
    ("client", &["wire", "clock", "telemetry", "config", "relabel", "diagnostic", "model"]),
    ("store", &["client", "wire", "clock", "telemetry", "config", "relabel", "diagnostic", "model"]),
    ("sources", IO),
    ("notify", IO),
    ("promql", BAR),
    ("template", BAR),
    ("rules", &["yaml", "template", "promql", "relabel", "diagnostic", "model"]),
    ("alerting", BAR),
    ("evaluation", &["alerting", "rules", "template", "promql", "relabel", "diagnostic", "model"]),
    ("ruler", DOORS),
    ("api", DOORS),
    (
        "app",
        &[
            "api",
            "ruler",
            "evaluation",
            "alerting",
            "rules",
            "template",
            "promql",
            "notify",
            "sources",
            "store",
            "client",
            "wire",
            "clock",
            "telemetry",
            "config",
            "relabel",
            "diagnostic",
            "model",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "api",
            "ruler",
            "evaluation",
            "alerting",
            "rules",
            "template",
            "promql",
            "notify",
            "sources",
            "store",
            "client",
            "wire",
            "clock",
            "telemetry",
            "config",
            "relabel",
            "diagnostic",
            "model",
        ],
    ),
];
const BAR: &[&str] = &["relabel", "diagnostic", "model"];
const IO: &[&str] = &["store", "client", "wire", "clock", "telemetry", "config", "relabel", "diagnostic", "model"];
const DOORS: &[&str] = &[
    "evaluation",
    "alerting",
    "rules",
    "template",
    "promql",
    "notify",
    "sources",
    "store",
    "client",
    "wire",
    "clock",
    "telemetry",
    "config",
    "relabel",
    "diagnostic",
    "model",
];

const PURE: &[&str] =
    &["evaluation", "alerting", "template", "rules", "promql", "yaml", "relabel", "diagnostic", "model", "wire"];
/// What a pure room never says, and why.
const IMPURE: &[(&str, &str)] = &[
    ("async fn", "a pure room answers at once"),
    (".await", "a pure room answers at once"),
    ("std::fs", "a pure room opens no file"),
    ("std::net::Tcp", "a pure room opens no socket"),
    ("std::net::Udp", "a pure room opens no socket"),
    ("tokio::", "a pure room knows no runtime"),
    ("SystemTime::now", "a pure room is told the time"),
    ("Instant::now", "a pure room is told the time"),
    ("tracing::", "a pure room returns what is worth saying"),
    ("prometheus::", "a pure room returns figures, shells count"),
    ("println!", "a pure room does not print"),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be read") {
        let path = entry.expect("an entry of src").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Room, path and text of every file under src; the front doors (`lib.rs`, `main.rs`) aside.
fn files() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    rust_files(&src, &mut paths);
    paths.sort();
    let of = |path: PathBuf| {
        let inside = path.strip_prefix(&src).expect("found under src").to_owned();
        let room = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).expect("source is UTF-8");
        (room, inside, text)
    };
    paths.into_iter().map(of).filter(|(room, ..)| room != "lib" && room != "main").collect()
}

/// The rooms that a line names: `crate::a`, and each of `crate::{a, b}` on one line.
fn rooms_named(line: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut named = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let (mut depth, mut item) = (0, String::new());
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => named.push(word(&std::mem::take(&mut item))),
                        _ => item.push(c),
                    }
                }
                named.push(word(&item));
            }
            None => named.push(word(rest)),
        }
    }
    named.retain(|room| room.chars().next().is_some_and(char::is_lowercase));
    named
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

#[test]
fn no_arrow_runs_back_up() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut broken = Vec::new();
    let mut imports = 0;
    for (room, path, text) in files() {
        let Some(allowed) = rooms.get(room.as_str()) else {
            broken.push(format!("src/{}: room `{room}` is not in the drawing", path.display()));
            continue;
        };
        for (number, line) in without_tests(&text).lines().enumerate() {
            if line.trim_end().ends_with("crate::{") {
                broken.push(format!(
                    "src/{}:{}: one `use` for each room, so that this test can read it",
                    path.display(),
                    number + 1
                ));
            }
            for named in rooms_named(line).into_iter().filter(|named| *named != room) {
                imports += 1;
                if !allowed.contains(&named.as_str()) {
                    broken.push(format!("src/{}:{}: `{room}` imports `{named}`", path.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "arrows that run back up:\n{}", broken.join("\n"));
    assert!(imports > 50, "only {imports} imports found: does this test still read the house?");
}

#[test]
fn pure_rooms_are_pure() {
    let mut broken = Vec::new();
    for (room, path, text) in files() {
        if !PURE.contains(&room.as_str()) || path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (word, reason) in IMPURE.iter().filter(|(word, _)| code.contains(word)) {
                broken.push(format!("src/{}:{}: `{word}`: {reason}", path.display(), number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "pure rooms that are not:\n{}", broken.join("\n"));
}

#[test]
fn the_test_would_see_a_broken_arrow() {
    assert_eq!(rooms_named("use crate::{model::Labels, api, notify::{self, Sink}};"), ["model", "api", "notify"]);
    assert_eq!(rooms_named("let x = crate::ruler::Ruler::new(crate::clock::now());"), ["ruler", "clock"]);
    assert_eq!(rooms_named("$crate::model pub(crate) fn x()"), Vec::<String>::new());
    let model = ROOMS.iter().find(|(room, _)| *room == "model").expect("there is a model");
    assert!(!model.1.contains(&"api"));
}
