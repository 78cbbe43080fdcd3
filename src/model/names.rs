//! What may name a metric or a label.

/// How strictly names are checked: `global.metric_name_validation_scheme`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ValidationScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, the same without colons for labels.
    Legacy,
}

impl ValidationScheme {
    pub fn is_valid_metric_name(self, name: &str) -> bool {
        match self {
            ValidationScheme::Utf8 => !name.is_empty(),
            ValidationScheme::Legacy => is_legacy(name, |byte| byte == b'_' || byte == b':'),
        }
    }

    /// The same for annotation names.
    pub fn is_valid_label_name(self, name: &str) -> bool {
        match self {
            ValidationScheme::Utf8 => !name.is_empty(),
            ValidationScheme::Legacy => is_legacy(name, |byte| byte == b'_'),
        }
    }
}

/// Whether a label name can stand without quotes in PromQL.
pub fn is_legacy_label_name(name: &str) -> bool {
    ValidationScheme::Legacy.is_valid_label_name(name)
}

fn is_legacy(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let head = |byte: u8| byte.is_ascii_alphabetic() || also(byte);
    name.bytes().next().is_some_and(head) && name.bytes().all(|byte| head(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::ValidationScheme::{Legacy, Utf8};

    #[test]
    fn names_are_checked_by_scheme() {
        for (name, metric, label) in [
            ("job:up:sum", true, false),
            ("_a9", true, true),
            ("9a", false, false),
            ("a.b", false, false),
            ("é", false, false),
        ] {
            assert_eq!(Legacy.is_valid_metric_name(name), metric, "{name}");
            assert_eq!(Legacy.is_valid_label_name(name), label, "{name}");
            assert!(Utf8.is_valid_metric_name(name) && Utf8.is_valid_label_name(name), "{name}");
        }
        assert!(!Utf8.is_valid_metric_name("") && !Legacy.is_valid_label_name(""));
    }
}
