//! `global`, and the patterns of `rule_files`.

use super::Global;
use super::expand::expand;
use super::pattern::Pattern;
use super::read::{Fields, Reader, Shape};
use crate::diagnostic::Span;
use crate::model::Labels;
use crate::model::ValidationScheme;
use crate::yaml::tree::Entry;

const GLOBAL: Shape = Shape {
    read: &["evaluation_interval", "rule_query_offset", "external_labels", "metric_name_validation_scheme"],
    unused: &["query_log_file"],
    passed: &[
        "scrape_interval",
        "scrape_timeout",
        "scrape_protocols",
        "scrape_failure_log_file",
        "body_size_limit",
        "sample_limit",
        "target_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "keep_dropped_targets",
        "metric_name_escaping_scheme",
        "scrape_native_histograms",
        "convert_classic_histograms_to_nhcb",
        "always_scrape_classic_histograms",
        "extra_scrape_metrics",
    ],
    ..Shape::NONE
};

/// What an external label may ask of the environment.
pub(super) type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The scheme decides which label names are valid anywhere in the file, so it is read before all else.
pub(super) fn validation_scheme(reader: &mut Reader<'_>, global: &Fields<'_>) -> ValidationScheme {
    match reader.filled_text(global, "metric_name_validation_scheme").as_deref() {
        None | Some("utf8") => ValidationScheme::Utf8,
        Some("legacy") => ValidationScheme::Legacy,
        Some(other) => {
            let message = format!("metric_name_validation_scheme must be utf8 or legacy, not {other:?}");
            reader.error(message, global.value("metric_name_validation_scheme"));
            ValidationScheme::Utf8
        }
    }
}

pub(super) fn fields<'n>(reader: &mut Reader<'_>, entry: &'n Entry) -> Fields<'n> {
    reader.section("global", &entry.value, entry.key_span, &[&GLOBAL])
}

pub(super) fn global(reader: &mut Reader<'_>, fields: &Fields<'_>, environment: &Environment<'_>) -> Global {
    let default = Global::default();
    let interval = reader.duration(fields, "evaluation_interval").filter(|interval| !interval.is_zero());
    Global {
        evaluation_interval: interval.unwrap_or(default.evaluation_interval),
        rule_query_offset: reader.duration(fields, "rule_query_offset").unwrap_or_default(),
        external_labels: external_labels(reader, fields, environment),
        validation_scheme: reader.scheme,
    }
}

fn external_labels(reader: &mut Reader<'_>, fields: &Fields<'_>, environment: &Environment<'_>) -> Labels {
    let mut labels = Vec::new();
    for (name, value, at) in reader.text_map(fields, "external_labels") {
        reader.check_label_name(&name, at);
        let value = expand(&value, |variable| {
            let found = environment(variable).filter(|text| !text.is_empty());
            if found.is_none() {
                reader.warning(format!("external label {name:?}: environment variable {variable:?} is empty"), at);
            }
            found.unwrap_or_default()
        });
        // An external label without a value is the same as none, everywhere it is used.
        if !value.is_empty() {
            labels.push((name, value));
        }
    }
    Labels::from_pairs(labels)
}

/// The patterns of rule files, joined to the directory of the file, with their places.
pub(super) fn rule_files(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<(String, Span)> {
    let patterns = reader.texts(top, "rule_files");
    let mut joined = Vec::new();
    for (pattern, at) in patterns {
        if pattern.is_empty() {
            reader.error("invalid rule file path \"\": it is empty", at);
            continue;
        }
        let pattern = Pattern::join(reader.directory, &pattern);
        if let Err(error) = Pattern::parse(&pattern) {
            reader.error(format!("invalid rule file path {pattern:?}: {error}"), at);
        }
        joined.push((pattern, at));
    }
    joined
}
