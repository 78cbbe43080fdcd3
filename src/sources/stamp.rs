//! The labels of a source, put on everything it answers.

use crate::model::{Labels, LabelsPacker};

/// What a series' own value is kept under where a source's label takes its name: as scraping does it.
const EXPORTED: &str = "exported_";

/// Adds a source's labels to label sets.
///
/// The source's label wins; a different value that the series had itself is kept as `exported_<name>`, with the prefix
/// repeated until that name is free.
#[derive(Debug)]
pub(super) struct Stamp {
    added: Labels,
    packer: LabelsPacker,
}

impl Stamp {
    pub(super) fn new(added: Labels) -> Stamp {
        Stamp { added, packer: LabelsPacker::default() }
    }

    #[inline]
    pub(super) fn apply(&mut self, labels: Labels) -> Labels {
        if self.added.is_empty() {
            return labels;
        }
        self.merge(&labels)
    }

    /// Walks both sorted sets at once.
    fn merge(&mut self, labels: &Labels) -> Labels {
        let mut displaced = Vec::new();
        let mut added = self.added.iter().peekable();
        for (name, value) in labels {
            while let Some((added_name, added_value)) = added.next_if(|(added_name, _)| *added_name < name) {
                self.packer.push(added_name, added_value);
            }
            match added.next_if(|(added_name, _)| *added_name == name) {
                None => self.packer.push(name, value),
                Some((_, added_value)) => {
                    self.packer.push(name, added_value);
                    if added_value != value {
                        displaced.push((name, value));
                    }
                }
            }
        }
        added.for_each(|(name, value)| self.packer.push(name, value));
        let mut exported: Vec<String> = Vec::new();
        for (name, value) in displaced {
            let mut free = format!("{EXPORTED}{name}");
            while labels.get(&free).is_some() || self.added.get(&free).is_some() || exported.contains(&free) {
                free.insert_str(0, EXPORTED);
            }
            self.packer.push(&free, value);
            exported.push(free);
        }
        self.packer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_wins_and_the_series_keeps_its_value_under_another_name() {
        for (own, added, merged) in [
            (vec![("job", "x")], vec![], r#"{job="x"}"#),
            (
                vec![("b", "1"), ("d", "2")],
                vec![("a", "3"), ("c", "4"), ("e", "5")],
                r#"{a="3", b="1", c="4", d="2", e="5"}"#,
            ),
            (vec![("cluster", "eu")], vec![("cluster", "eu")], r#"{cluster="eu"}"#),
            (vec![("cluster", "us")], vec![("cluster", "eu")], r#"{cluster="eu", exported_cluster="us"}"#),
            (
                vec![("cluster", "us"), ("exported_cluster", "asia")],
                vec![("cluster", "eu")],
                r#"{cluster="eu", exported_cluster="asia", exported_exported_cluster="us"}"#,
            ),
            (
                vec![("a", "1"), ("exported_a", "2")],
                vec![("a", "3"), ("exported_a", "4")],
                r#"{a="3", exported_a="4", exported_exported_a="1", exported_exported_exported_a="2"}"#,
            ),
            (vec![], vec![("cluster", "eu")], r#"{cluster="eu"}"#),
        ] {
            let labels = Stamp::new(Labels::from_pairs(added)).apply(Labels::from_pairs(own));
            assert_eq!(labels.to_string(), merged);
        }
    }
}
