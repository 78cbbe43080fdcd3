//! Label sets: sorted name=value pairs in one allocation.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use smallvec::SmallVec;

use super::{ValidationScheme, quote};

/// A label set, sorted by name, names unique, values never empty unless they were given so on purpose.
///
/// One reference-counted string holds it all: each name and value is preceded by its length, written in six-bit
/// digits so that every length byte is ASCII and the whole stays valid UTF-8. A clone costs one counter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Alertmanager's identity of a label set.
///
/// Source: prometheus/common `model/fnv.go` and `model/signature.go`: FNV-1a (64 bits) over name, 0xff, value, 0xff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Labels {
    pub fn empty() -> Labels {
        Labels(Arc::from(""))
    }

    /// The label set of these pairs; of two with one name the later one stays.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let pairs: SmallVec<[(N, V); 16]> = pairs.into_iter().collect();
        let sorted = pairs.windows(2).all(|pair| pair[0].0.as_ref() < pair[1].0.as_ref());
        if sorted {
            return Labels::from_sorted(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
        }
        let mut builder = LabelsBuilder::default();
        for (name, value) in &pairs {
            builder.set_even_empty(name.as_ref(), value.as_ref());
        }
        builder.finish()
    }

    /// The label set of pairs that are already sorted by name and unique.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Labels {
        let size = pairs.clone().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut text = String::with_capacity(size);
        for (name, value) in pairs {
            push_counted(&mut text, name);
            push_counted(&mut text, value);
        }
        Labels(Arc::from(text))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The value of a label; `None` if the set has no label of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found >= name).filter(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The value of a label; empty if the set has none, which PromQL does not tell apart.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The pairs, by name.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        for (name, value) in self.iter() {
            name.bytes().for_each(&mut eat);
            eat(0xff);
            value.bytes().for_each(&mut eat);
            eat(0xff);
        }
        Fingerprint(hash)
    }

    /// The set without one label; itself if it has none of that name.
    pub fn without(&self, name: &str) -> Labels {
        match self.get(name) {
            None => self.clone(),
            Some(_) => Labels::from_sorted(self.iter().filter(|(found, _)| *found != name)),
        }
    }

    /// The set without its counter.
    pub fn view(&self) -> LabelsRef<'_> {
        LabelsRef(&self.0)
    }

    /// Bytes this set holds on the heap, when no other clone shares them.
    pub fn heap_bytes(&self) -> usize {
        self.0.len() + 2 * size_of::<usize>()
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Labels {
        Labels::from_pairs(pairs)
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// By name, then value, pair by pair; the shorter of two equal beginnings first.
impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `{a="b", c="d"}`, names that are not plain identifiers quoted: Prometheus' own form.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if ValidationScheme::Legacy.is_valid_label_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&quote(name))?;
            }
            write!(f, "={}", quote(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The pairs of a label set, by name.
#[derive(Clone)]
pub struct Iter<'a>(&'a str);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        if self.0.is_empty() {
            return None;
        }
        let (name, rest) = take_counted(self.0);
        let (value, rest) = take_counted(rest);
        self.0 = rest;
        Some((name, value))
    }
}

const DIGIT_BITS: u32 = 6;
const MORE: u8 = 1 << DIGIT_BITS;

#[inline]
fn push_counted(text: &mut String, part: &str) {
    let mut length = part.len();
    loop {
        let digit = (length & usize::from(MORE - 1)) as u8;
        length >>= DIGIT_BITS;
        if length == 0 {
            text.push(char::from(digit));
            break;
        }
        text.push(char::from(digit | MORE));
    }
    text.push_str(part);
}

#[inline]
fn take_counted(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    if bytes[0] & MORE == 0 {
        return text[1..].split_at(usize::from(bytes[0]));
    }
    let (mut length, mut shift, mut at) = (0_usize, 0, 0);
    loop {
        let digit = bytes[at];
        length |= usize::from(digit & (MORE - 1)) << shift;
        shift += DIGIT_BITS;
        at += 1;
        if digit & MORE == 0 {
            break;
        }
    }
    text[at..].split_at(length)
}

/// A label set in the making: set and delete by name, then `finish`.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder<'a> {
    pairs: SmallVec<[(Cow<'a, str>, Cow<'a, str>); 12]>,
}

impl<'a> LabelsBuilder<'a> {
    pub fn new(base: &'a Labels) -> LabelsBuilder<'a> {
        LabelsBuilder { pairs: base.iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).ok().map(|index| &*self.pairs[index].1)
    }

    /// Sets a label; an empty value deletes it, since PromQL does not tell the two apart.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() { self.remove(&name) } else { self.set_even_empty(name, value) }
    }

    /// Sets a label and keeps it when its value is empty, as annotations do.
    pub fn set_even_empty(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        match self.find(&name) {
            Ok(index) => self.pairs[index].1 = value,
            Err(index) => self.pairs.insert(index, (name, value)),
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Ok(index) = self.find(name) {
            self.pairs.remove(index);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    pub fn finish(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(found, _)| (**found).cmp(name))
    }
}

/// A label set that lies in somebody else's buffer. Hashes as the `Labels` of the same pairs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LabelsRef<'a>(&'a str);

impl LabelsRef<'_> {
    /// An allocation of its own.
    pub fn to_labels(self) -> Labels {
        Labels(Arc::from(self.0))
    }
}

impl PartialEq<Labels> for LabelsRef<'_> {
    fn eq(&self, other: &Labels) -> bool {
        *self.0 == *other.0
    }
}

/// A buffer for label sets that are made by the thousand, and of which most turn out to be known already.
#[derive(Debug, Default)]
pub struct LabelsScratch(String);

impl LabelsScratch {
    /// `base` with some labels changed. `changes` come sorted by name, each name once; an empty value removes the label.
    ///
    /// What lies between two changes is copied as it is packed.
    pub fn changed<'c>(
        &mut self,
        base: &Labels,
        changes: impl IntoIterator<Item = (&'c str, &'c str)>,
    ) -> LabelsRef<'_> {
        self.0.clear();
        let mut rest = Iter(&base.0);
        for (name, value) in changes {
            let from = rest.0;
            // Passes over what comes before `name`, and over `name` itself.
            let until = loop {
                let before = rest.0;
                match rest.next() {
                    Some((found, _)) if found < name => {}
                    Some((found, _)) if found == name => break before,
                    _ => {
                        rest = Iter(before);
                        break before;
                    }
                }
            };
            self.0.push_str(&from[..from.len() - until.len()]);
            if !value.is_empty() {
                push_counted(&mut self.0, name);
                push_counted(&mut self.0, value);
            }
        }
        self.0.push_str(rest.0);
        LabelsRef(&self.0)
    }

    /// Pairs that are sorted by name and unique; empty values are kept.
    pub fn packed<N: AsRef<str>, V: AsRef<str>>(&mut self, pairs: impl IntoIterator<Item = (N, V)>) -> LabelsRef<'_> {
        self.0.clear();
        for (name, value) in pairs {
            push_counted(&mut self.0, name.as_ref());
            push_counted(&mut self.0, value.as_ref());
        }
        LabelsRef(&self.0)
    }
}

/// Makes label sets one after the other in one buffer: for readers of answers that hold thousands of them.
///
/// Pairs that come sorted by name, as they do from a Prometheus, cost one copy and the set itself one allocation.
#[derive(Debug, Default)]
pub struct LabelsPacker {
    text: String,
    /// Where the last name lies in `text`.
    last_name: (usize, usize),
    unsorted: bool,
}

impl LabelsPacker {
    /// Forgets what was pushed since the last `finish`.
    pub fn clear(&mut self) {
        self.text.clear();
        self.last_name = (0, 0);
        self.unsorted = false;
    }

    /// Adds a pair. A pair with an empty value is passed over, since PromQL does not tell it from none.
    #[inline]
    pub fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let (start, end) = self.last_name;
        if !self.text.is_empty() && name <= &self.text[start..end] {
            self.unsorted = true;
        }
        push_counted(&mut self.text, name);
        self.last_name = (self.text.len() - name.len(), self.text.len());
        push_counted(&mut self.text, value);
    }

    /// The set of what was pushed, of two pairs with one name the later one; the packer is empty again.
    pub fn finish(&mut self) -> Labels {
        let labels = match self.unsorted {
            false => Labels(Arc::from(self.text.as_str())),
            true => Labels::from_pairs(Iter(&self.text)),
        };
        self.clear();
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sets_are_sorted_and_the_later_of_two_equal_names_stays() {
        let labels = Labels::from_pairs([("job", "x"), ("a", "1"), ("job", "y")]);
        assert_eq!(labels.to_string(), r#"{a="1", job="y"}"#);
        assert_eq!(labels.get("job"), Some("y"));
        assert_eq!(labels.get("b"), None);
        assert_eq!(labels.value("zzz"), "");
        assert_eq!(labels.without("a").to_string(), r#"{job="y"}"#);
    }

    #[test]
    fn fingerprints_are_alertmanagers() {
        // prometheus/common `model/signature_test.go`.
        assert_eq!(Labels::empty().fingerprint(), Fingerprint(14_695_981_039_346_656_037));
        let labels = Labels::from_pairs([("name", "garland, briggs"), ("fear", "love is not enough")]);
        assert_eq!(labels.fingerprint(), Fingerprint(5_799_056_148_416_392_346));
    }

    #[test]
    fn the_order_is_by_pairs_not_by_bytes_of_the_packing() {
        let long = Labels::from_pairs([("a", "x".repeat(100))]);
        let short = Labels::from_pairs([("a", "y")]);
        assert!(long < short);
        assert!(Labels::empty() < long);
    }

    proptest! {
        #[test]
        fn a_packer_makes_what_pairs_make(pairs in proptest::collection::vec(("[a-c]{0,2}", "[xé]{0,70}"), 0..8)) {
            let mut packer = LabelsPacker::default();
            packer.push("left", "over");
            packer.clear();
            pairs.iter().for_each(|(name, value)| packer.push(name, value));
            let kept = pairs.iter().filter(|(_, value)| !value.is_empty());
            prop_assert_eq!(packer.finish(), Labels::from_pairs(kept.map(|(name, value)| (name, value))));
            prop_assert_eq!(packer.finish(), Labels::empty());
        }

        #[test]
        fn a_scratch_changes_as_a_builder_does(
            pairs in proptest::collection::btree_map("[a-d]{0,2}", ".{0,70}", 0..8),
            changes in proptest::collection::btree_map("[a-d]{0,2}", "[xé]{0,70}", 0..8),
        ) {
            let (base, mut scratch) = (Labels::from_pairs(&pairs), LabelsScratch::default());
            let mut builder = LabelsBuilder::new(&base);
            changes.iter().for_each(|(name, value)| builder.set(&**name, &**value));
            let changed = scratch.changed(&base, changes.iter().map(|(name, value)| (&**name, &**value)));
            prop_assert_eq!(changed.to_labels(), builder.finish());
            prop_assert!(scratch.packed(&pairs) == base);
        }

        #[test]
        fn what_goes_in_comes_out(pairs in proptest::collection::btree_map(".{0,20}", ".{0,200}", 0..8)) {
            let labels = Labels::from_pairs(&pairs);
            let out: Vec<(String, String)> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let expected: Vec<(String, String)> = pairs.into_iter().collect();
            prop_assert_eq!(&out, &expected);
            prop_assert_eq!(LabelsBuilder::new(&labels).finish(), labels);
        }
    }
}
