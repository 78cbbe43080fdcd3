//! Relabeling rules on label sets.
//!
//! Decides what a label set becomes, or that it is dropped, from the set alone. Alerts, Alertmanager targets and remote
//! writes go through it. Source: Prometheus `model/relabel/relabel.go`.

use std::borrow::Cow;

use md5::{Digest, Md5};
use serde::Serialize;

use crate::model::{GoRegex, Labels, LabelsBuilder, RegexError, is_legacy_label_name, quote};

/// A relabeling rule as its author wrote it: what is not written is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelabelSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_labels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Whether label names must be `[a-zA-Z_][a-zA-Z0-9_]*`, instead of any text. Not part of the YAML.
    #[serde(skip)]
    pub legacy_names: bool,
}

/// Why a relabeling rule is refused; the texts are Prometheus' own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    #[error("unknown relabel action {}", quote(.0))]
    UnknownAction(String),
    #[error(transparent)]
    Regex(#[from] RegexError),
    #[error("{} is not a valid label name", quote(.0))]
    SourceLabel(String),
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    NoModulus,
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    NoTargetLabel(&'static str),
    #[error("{} is invalid 'target_label' for {action} action", quote(.name))]
    TargetLabel { name: String, action: &'static str },
    #[error("'replacement' can not be set for {0} action")]
    ReplacementSet(&'static str),
    #[error("{} is invalid 'replacement' for {action} action", quote(.name))]
    Replacement { name: String, action: &'static str },
    #[error("{0} action requires only 'source_labels' and 'target_label', and no other fields")]
    OnlySourceAndTarget(&'static str),
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(&'static str),
}

/// One checked relabeling rule.
#[derive(Clone, Debug)]
pub struct RelabelRule {
    spec: RelabelSpec,
    action: Action,
    regex: GoRegex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: &[(&str, Action)] = &[
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

impl RelabelRule {
    /// Checks a rule.
    pub fn new(spec: RelabelSpec) -> Result<RelabelRule, RelabelError> {
        let action = match &spec.action {
            None => Action::Replace,
            Some(name) => action_of(name).ok_or_else(|| RelabelError::UnknownAction(name.clone()))?,
        };
        let regex = GoRegex::relabeling(spec.regex.as_deref().unwrap_or(DEFAULT_REGEX))?;
        let rule = RelabelRule { spec, action, regex };
        rule.check()?;
        Ok(rule)
    }

    /// The rule as its author wrote it.
    pub fn spec(&self) -> &RelabelSpec {
        &self.spec
    }

    fn check(&self) -> Result<(), RelabelError> {
        use Action::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
        let (name, target) = (self.action_name(), self.target_label());
        let bad_target = || Err(RelabelError::TargetLabel { name: target.to_owned(), action: name });
        if let Some(label) = self.sources().iter().find(|label| !self.is_label_name(label)) {
            return Err(RelabelError::SourceLabel(label.clone()));
        }
        if self.action == HashMod && self.modulus() == 0 {
            return Err(RelabelError::NoModulus);
        }
        let needs_target = matches!(self.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
        if needs_target && target.is_empty() {
            return Err(RelabelError::NoTargetLabel(name));
        }
        let target_may_expand = self.action == Replace && is_template(target);
        let target_fits = if target_may_expand { self.is_name_template(target) } else { self.is_label_name(target) };
        if needs_target && !target_fits {
            return bad_target();
        }
        let is_plain = |value: &Option<String>, default: &str| value.as_deref().is_none_or(|value| value == default);
        let plain_replacement = is_plain(&self.spec.replacement, DEFAULT_REPLACEMENT);
        if matches!(self.action, Lowercase | Uppercase | KeepEqual | DropEqual) && !plain_replacement {
            return Err(RelabelError::ReplacementSet(name));
        }
        if self.action == LabelMap && !self.is_name_template(self.replacement()) {
            return Err(RelabelError::Replacement { name: self.replacement().to_owned(), action: name });
        }
        let plain_rest = self.modulus() == 0 && is_plain(&self.spec.separator, DEFAULT_SEPARATOR) && plain_replacement;
        if matches!(self.action, DropEqual | KeepEqual) && (self.spec.regex.is_some() || !plain_rest) {
            return Err(RelabelError::OnlySourceAndTarget(name));
        }
        let plain_ends = self.spec.source_labels.is_none() && target.is_empty();
        if matches!(self.action, LabelDrop | LabelKeep) && !(plain_ends && plain_rest) {
            return Err(RelabelError::OnlyRegex(name));
        }
        Ok(())
    }

    fn action_name(&self) -> &'static str {
        ACTIONS.iter().find(|(_, action)| *action == self.action).map_or("", |(name, _)| name)
    }

    fn sources(&self) -> &[String] {
        self.spec.source_labels.as_deref().unwrap_or_default()
    }

    fn separator(&self) -> &str {
        self.spec.separator.as_deref().unwrap_or(DEFAULT_SEPARATOR)
    }

    fn modulus(&self) -> u64 {
        self.spec.modulus.unwrap_or_default()
    }

    fn target_label(&self) -> &str {
        self.spec.target_label.as_deref().unwrap_or_default()
    }

    fn replacement(&self) -> &str {
        self.spec.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT)
    }

    fn is_label_name(&self, name: &str) -> bool {
        if self.spec.legacy_names { is_legacy_label_name(name) } else { !name.is_empty() }
    }

    /// Whether a template may expand to a label name. In the open scheme `$` is a letter like any other.
    fn is_name_template(&self, template: &str) -> bool {
        if self.spec.legacy_names { is_legacy_name_template(template) } else { !template.is_empty() }
    }

    /// The values of the source labels, joined.
    fn input<'l>(&self, labels: &'l Changing<'_>) -> Cow<'l, str> {
        match self.sources() {
            [] => Cow::Borrowed(""),
            [only] => Cow::Borrowed(labels.get(only)),
            several => {
                let values: Vec<&str> = several.iter().map(|name| labels.get(name)).collect();
                Cow::Owned(values.join(self.separator()))
            }
        }
    }

    /// False if the rule drops the set.
    fn apply(&self, labels: &mut Changing<'_>) -> bool {
        match self.action {
            Action::Keep => return self.regex.is_match(&self.input(labels)),
            Action::Drop => return !self.regex.is_match(&self.input(labels)),
            Action::KeepEqual => return labels.get(self.target_label()) == self.input(labels),
            Action::DropEqual => return labels.get(self.target_label()) != self.input(labels),
            Action::Replace => {
                if let Some((target, value)) = self.replaced(&self.input(labels)) {
                    labels.set(&target, value);
                }
            }
            Action::HashMod => {
                let hash = hash_mod(&self.input(labels), self.modulus());
                labels.set(self.target_label(), hash.to_string());
            }
            Action::Lowercase => {
                let value = self.input(labels).chars().map(lower).collect();
                labels.set(self.target_label(), value);
            }
            Action::Uppercase => {
                let value = self.input(labels).chars().map(upper).collect();
                labels.set(self.target_label(), value);
            }
            Action::LabelMap => {
                for (name, value) in self.mapped(labels) {
                    labels.set(&name, value);
                }
            }
            Action::LabelDrop => labels.remove_where(|name| self.regex.is_match(name)),
            Action::LabelKeep => labels.remove_where(|name| !self.regex.is_match(name)),
        }
        true
    }

    /// The label that `replace` sets (or deletes, where the value is empty).
    fn replaced(&self, input: &str) -> Option<(String, String)> {
        let (target, replacement) = (self.target_label(), self.replacement());
        if input.is_empty() && self.spec.regex.is_none() && !is_template(target) && !is_template(replacement) {
            return Some((target.to_owned(), replacement.to_owned()));
        }
        let captures = self.regex.captures(input)?;
        let target = captures.expand(target);
        self.is_label_name(&target).then(|| (target, captures.expand(replacement)))
    }

    fn mapped(&self, labels: &Changing<'_>) -> Vec<(String, String)> {
        labels
            .names()
            .filter(|name| self.regex.is_match(name))
            .map(|name| (self.regex.replace_all(name, self.replacement()), labels.get(name).to_owned()))
            .filter(|(name, _)| !name.is_empty())
            .collect()
    }
}

impl PartialEq for RelabelRule {
    fn eq(&self, other: &RelabelRule) -> bool {
        self.spec == other.spec
    }
}

impl Eq for RelabelRule {}

/// The label set after all rules; `None` if a rule drops it. What no rule changes is not copied.
pub fn relabel(rules: &[RelabelRule], labels: &Labels) -> Option<Labels> {
    let mut changing = Changing { base: labels, builder: None };
    rules.iter().all(|rule| rule.apply(&mut changing)).then(|| match changing.builder {
        Some(builder) => builder.finish(),
        None => labels.clone(),
    })
}

/// A label set that is copied when the first label changes.
struct Changing<'a> {
    base: &'a Labels,
    builder: Option<LabelsBuilder<'a>>,
}

impl Changing<'_> {
    fn get(&self, name: &str) -> &str {
        match &self.builder {
            Some(builder) => builder.get(name).unwrap_or_default(),
            None => self.base.value(name),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let changed = self.builder.iter().flat_map(|builder| builder.iter().map(|(name, _)| name));
        let base = self.builder.is_none().then(|| self.base.iter().map(|(name, _)| name));
        changed.chain(base.into_iter().flatten())
    }

    fn set(&mut self, name: &str, value: String) {
        if self.get(name) != value {
            self.changed().set(name.to_owned(), value);
        }
    }

    fn remove_where(&mut self, is_removed: impl Fn(&str) -> bool) {
        let removed: Vec<String> = self.names().filter(|name| is_removed(name)).map(str::to_owned).collect();
        for name in removed {
            self.changed().remove(&name);
        }
    }
}

impl<'a> Changing<'a> {
    fn changed(&mut self) -> &mut LabelsBuilder<'a> {
        self.builder.get_or_insert_with(|| LabelsBuilder::new(self.base))
    }
}

fn action_of(name: &str) -> Option<Action> {
    ACTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, action)| *action)
}

fn is_template(text: &str) -> bool {
    text.contains('$')
}

/// `[a-zA-Z_]`, `$name` and `${name}` in any order, digits behind them: Prometheus' own pattern, loose as it is.
fn is_legacy_name_template(template: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let leads = rest.len() == template.len();
        rest = match first {
            '$' => {
                let (inside, braced) = after.strip_prefix('{').map_or((after, false), |inside| (inside, true));
                let behind = inside.trim_start_matches(is_word);
                match (behind.len() < inside.len(), braced) {
                    (false, _) => return false,
                    (true, false) => behind,
                    (true, true) => match behind.strip_prefix('}') {
                        Some(behind) => behind,
                        None => return false,
                    },
                }
            }
            first if is_word(first) && !(leads && first.is_ascii_digit()) => after,
            _ => return false,
        };
    }
    !template.is_empty()
}

/// The last eight bytes of the MD5 sum, big endian, modulo `modulus`.
fn hash_mod(input: &str, modulus: u64) -> u64 {
    let sum = Md5::digest(input.as_bytes());
    let number = sum.iter().skip(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    number.checked_rem(modulus).unwrap_or_default()
}

/// Go maps character by character and knows no mapping to several: `ß` stays.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A rule in short: `action key=value ...`, keys by their first letters, source labels joined by `,`.
    fn spec(text: &str) -> RelabelSpec {
        let mut words = text.split(' ');
        let mut spec = RelabelSpec { action: words.next().map(str::to_owned), ..RelabelSpec::default() };
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            let text = Some(value.to_owned());
            match key {
                "from" => spec.source_labels = Some(value.split(',').map(str::to_owned).collect()),
                "sep" => spec.separator = text,
                "re" => spec.regex = text,
                "mod" => spec.modulus = Some(value.parse().unwrap()),
                "to" => spec.target_label = text,
                "by" => spec.replacement = text,
                "legacy" => spec.legacy_names = true,
                _ => panic!("{key}"),
            }
        }
        spec
    }

    fn check(rules: &[&str], expected: &str) {
        let rules: Vec<RelabelRule> = rules.iter().map(|rule| RelabelRule::new(spec(rule)).unwrap()).collect();
        let labels = Labels::from_pairs([("a", "foo"), ("b", "bar"), ("c", "baz"), ("d1", "Ünï"), ("d2", "x")]);
        let result = relabel(&rules, &labels).map_or("dropped".to_owned(), |labels| {
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(result, expected, "{rules:?}");
    }

    #[test]
    fn actions_do_what_prometheus_does() {
        let same = "a=foo b=bar c=baz d1=Ünï d2=x";
        for (rules, expected) in [
            (&["replace from=a re=f(.*) to=d by=ch${1}-ch${1}"][..], "a=foo b=bar c=baz d=choo-choo d1=Ünï d2=x"),
            (&["replace from=a,b re=(.*);(.*) to=a by=$2$1"], "a=barfoo b=bar c=baz d1=Ünï d2=x"),
            (&["replace from=a,b sep=+ re=foo\\+bar to=${1} by=x"], same),
            (&["replace from=a,zz re=foo; to=$$ by=$$"], "$=$ a=foo b=bar c=baz d1=Ünï d2=x"),
            (&["replace from=a re=no to=a by=x"], same),
            (&["replace from=a re=fo to=a by=x"], same),
            (&["replace from=a to=a by="], "b=bar c=baz d1=Ünï d2=x"),
            (&["replace to=z by=set"], "a=foo b=bar c=baz d1=Ünï d2=x z=set"),
            (&["replace to=a by="], "b=bar c=baz d1=Ünï d2=x"),
            (&["replace from=a re=(f).* to=$1 by=${1}oo legacy=y"], "a=foo b=bar c=baz d1=Ünï d2=x f=foo"),
            (&["replace from=a re=(f).* to=l${2} by=$1x"], "a=foo b=bar c=baz d1=Ünï d2=x"),
            (&["replace from=a to=b", "keepequal from=a to=b", "drop from=b re=bar"], "a=foo b=foo c=baz d1=Ünï d2=x"),
            (&["keep from=a re=foo"], same),
            (&["keep from=a re=fo"], "dropped"),
            (&["DROP from=a re=f.*"], "dropped"),
            (&["drop from=nope re=.+"], same),
            (&["keepequal from=a to=b"], "dropped"),
            (&["dropequal from=a to=b"], same),
            (&["dropequal from=zz to=yy"], "dropped"),
            (&["hashmod from=c mod=1000 to=h"], "a=foo b=bar c=baz d1=Ünï d2=x h=976"),
            (&["hashmod from=a mod=1000 to=h"], "a=foo b=bar c=baz d1=Ünï d2=x h=696"),
            (&["hashmod from=a,b mod=1000 to=h"], "a=foo b=bar c=baz d1=Ünï d2=x h=750"),
            (&["labelmap re=d(.) by=bar_${1}"], "a=foo b=bar bar_1=Ünï bar_2=x c=baz d1=Ünï d2=x"),
            (&["labelmap re=[ab] by=c"], "a=foo b=bar c=bar d1=Ünï d2=x"),
            (&["labeldrop re=d.*"], "a=foo b=bar c=baz"),
            (&["labeldrop re=d"], same),
            (&["labelkeep re=d.*"], "d1=Ünï d2=x"),
            (&["lowercase from=d1 to=d1"], "a=foo b=bar c=baz d1=ünï d2=x"),
            (&["uppercase from=d1 to=d2"], "a=foo b=bar c=baz d1=Ünï d2=ÜNÏ"),
            (&["uppercase from=zz to=d2"], "a=foo b=bar c=baz d1=Ünï"),
        ] {
            check(rules, expected);
        }
    }

    #[test]
    fn what_no_rule_changes_is_not_copied() {
        let rules: Vec<RelabelRule> = ["keep from=a re=foo", "replace to=a by=foo", "labeldrop re=zz"]
            .map(|rule| RelabelRule::new(spec(rule)).unwrap())
            .into();
        let labels = Labels::from_pairs([("a", "foo"), ("b", "")]);
        assert_eq!(relabel(&rules, &labels), Some(labels));
    }

    #[test]
    fn faults_have_prometheus_words() {
        for (rule, message) in [
            ("nope", "unknown relabel action \"nope\""),
            ("keep re=(", "error parsing regexp: missing closing ): `^(?s:()$`"),
            ("keep re=[a", "error parsing regexp: missing closing ]: `[a)$`"),
            ("hashmod to=a", "relabel configuration for hashmod requires non-zero modulus"),
            ("replace", "relabel configuration for replace action requires 'target_label' value"),
            ("Lowercase", "relabel configuration for lowercase action requires 'target_label' value"),
            ("replace to=a-b legacy=y", "\"a-b\" is invalid 'target_label' for replace action"),
            ("replace to=${3a legacy=y", "\"${3a\" is invalid 'target_label' for replace action"),
            ("hashmod mod=3 to=a-b legacy=y", "\"a-b\" is invalid 'target_label' for hashmod action"),
            ("uppercase to=a by=x", "'replacement' can not be set for uppercase action"),
            ("labelmap by=-a legacy=y", "\"-a\" is invalid 'replacement' for labelmap action"),
            ("labelmap by=", "\"\" is invalid 'replacement' for labelmap action"),
            (
                "dropequal from=a to=b re=(.*)",
                "dropequal action requires only 'source_labels' and 'target_label', and no other fields",
            ),
            ("labeldrop from=a re=b", "labeldrop action requires only 'regex', and no other fields"),
            ("labelkeep to=a re=b", "labelkeep action requires only 'regex', and no other fields"),
            ("keep from= re=b", "\"\" is not a valid label name"),
            ("keep from=a-b re=b legacy=y", "\"a-b\" is not a valid label name"),
        ] {
            assert_eq!(RelabelRule::new(spec(rule)).unwrap_err().to_string(), message, "{rule}");
        }
        for rule in ["replace to=a-b", "replace to=${1}_x_${2} legacy=y", "labelmap by=$1 legacy=y", "labeldrop re=a"] {
            assert!(RelabelRule::new(spec(rule)).is_ok(), "{rule}");
        }
    }

    #[test]
    fn a_rule_prints_as_it_was_written() {
        let rule = RelabelRule::new(spec("replace from=a,b to=c")).unwrap();
        let yaml = serde_yaml::to_string(rule.spec()).unwrap();
        assert_eq!(yaml, "source_labels:\n- a\n- b\ntarget_label: c\naction: replace\n");
    }

    proptest! {
        #[test]
        fn no_rule_panics(
            action in prop::sample::select(ACTIONS.to_vec()),
            texts in prop::array::uniform4(prop::option::of("[a-c${}1.*()\\\\]{0,5}")),
            sources in prop::option::of(prop::collection::vec("[a-c]{1,2}", 0..3)),
            modulus in prop::option::of(any::<u64>()),
            pairs in prop::collection::btree_map("[a-c]{1,2}", "[a-cß$]{0,3}", 0..4),
        ) {
            let [separator, regex, target_label, replacement] = texts;
            let action = Some(action.0.to_owned());
            let spec = RelabelSpec {
                source_labels: sources, separator, regex, modulus, target_label, replacement, action, legacy_names: false,
            };
            if let Ok(rule) = RelabelRule::new(spec) {
                let labels = Labels::from_pairs(&pairs);
                if let Some(after) = relabel(&[rule], &labels) {
                    prop_assert!(after.iter().all(|(name, _)| !name.is_empty()));
                }
            }
        }
    }
}
