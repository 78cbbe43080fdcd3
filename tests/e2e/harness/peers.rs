//! Where the real Prometheus, Alertmanager and amtool are.

use std::env;
use std::path::{Path, PathBuf};

pub(crate) struct Peers {
    pub(crate) prometheus: PathBuf,
    pub(crate) alertmanager: PathBuf,
    pub(crate) amtool: PathBuf,
}

impl Peers {
    /// In the directory that `BELLWETHER_PEERS` names, else on PATH. Says so when there are none: the test then passes
    /// without having tested anything.
    pub(crate) fn find() -> Option<Peers> {
        let find = |names: &[&str]| {
            let found = names.iter().find_map(|name| find_program(name));
            if found.is_none() {
                println!("skipped: no {} (set BELLWETHER_PEERS or put it on PATH)", names[0]);
            }
            found
        };
        Some(Peers {
            prometheus: find(&["prometheus"])?,
            alertmanager: find(&["alertmanager", "prometheus-alertmanager"])?,
            amtool: find(&["amtool"])?,
        })
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let directories = match env::var_os("BELLWETHER_PEERS").filter(|directory| !directory.is_empty()) {
        Some(directory) => vec![PathBuf::from(directory)],
        None => env::split_paths(&env::var_os("PATH")?).collect(),
    };
    directories.iter().map(|directory| directory.join(name)).find(|path| is_file(path))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
