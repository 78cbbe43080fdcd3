//! Character classes: Go's sets, written the way the `regex` crate reads them.

use std::fmt::Write;

/// Ranges of code points, both ends included.
type Set = &'static [(u32, u32)];

/// A class in the making: the inside of `[...]` in the crate's syntax.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CharClass {
    pub(super) negated: bool,
    items: String,
    /// An upper estimate of the states its parts compile to.
    states: u64,
}

impl CharClass {
    pub(super) fn add_range(&mut self, low: u32, high: u32) {
        // Texts hold no surrogates, and the crate refuses to hear of them.
        let low = if (0xd800..=0xdfff).contains(&low) { 0xe000 } else { low };
        let high = if (0xd800..=0xdfff).contains(&high) { 0xd7ff } else { high };
        if low > high {
            return;
        }
        self.states += if high > 0x7f { NON_ASCII_STATES } else { 1 };
        push_range(&mut self.items, low, high);
    }

    pub(super) fn add_set(&mut self, set: Set, negated: bool) {
        self.states += if negated { NON_ASCII_STATES } else { 4 };
        self.items.push_str(if negated { "[^" } else { "" });
        set.iter().for_each(|(low, high)| push_range(&mut self.items, *low, *high));
        self.items.push_str(if negated { "]" } else { "" });
    }

    /// Adds a set that is already in the crate's syntax, in brackets.
    pub(super) fn add_unicode(&mut self, set: &UnicodeSet, negated: bool) {
        self.states += TABLE_STATES;
        self.items.push_str(if negated { "[^" } else { "[" });
        match set {
            UnicodeSet::Any => self.items.push_str(EVERYTHING),
            UnicodeSet::Nothing => _ = write!(self.items, "[^{EVERYTHING}]"),
            UnicodeSet::Properties(names) => names.iter().for_each(|name| _ = write!(self.items, "\\p{{{name}}}")),
        }
        self.items.push(']');
    }

    /// An upper estimate of the states it compiles to.
    pub(super) fn states(&self, fold: bool) -> u64 {
        let states = self.states + if self.negated || fold { NON_ASCII_STATES } else { 1 };
        if fold { 2 * states } else { states }
    }

    /// The class in the crate's syntax.
    pub(super) fn write_to(&self, out: &mut String) {
        let sign = if self.negated { "^" } else { "" };
        _ = match (self.items.is_empty(), self.negated) {
            (true, false) => write!(out, "[^{EVERYTHING}]"),
            (true, true) => write!(out, "[{EVERYTHING}]"),
            (false, _) => write!(out, "[{sign}{}]", self.items),
        };
    }
}

/// Upper estimates of the states that a range beyond ASCII, and that a table of Unicode compiles to.
const NON_ASCII_STATES: u64 = 20;
const TABLE_STATES: u64 = 2_000;

const EVERYTHING: &str = r"\x{0}-\x{10FFFF}";

fn push_range(items: &mut String, low: u32, high: u32) {
    // Numbers only: no character of the pattern can then mean something to the crate that it does not mean to Go.
    _ = write!(items, "\\x{{{low:X}}}");
    if high > low {
        _ = write!(items, "-\\x{{{high:X}}}");
    }
}

/// `\d`, `\s`, `\w`, which are ASCII in Go.
pub(super) fn perl(letter: char) -> Option<Set> {
    match letter {
        'd' => posix("digit"),
        's' => Some(&[(9, 10), (12, 13), (32, 32)]),
        'w' => posix("word"),
        _ => None,
    }
}

/// `[:name:]`.
pub(super) fn posix(name: &str) -> Option<Set> {
    const DIGIT: (u32, u32) = (0x30, 0x39);
    const UPPER: (u32, u32) = (0x41, 0x5a);
    const LOWER: (u32, u32) = (0x61, 0x7a);
    Some(match name {
        "alnum" => &[DIGIT, UPPER, LOWER],
        "alpha" => &[UPPER, LOWER],
        "ascii" => &[(0, 0x7f)],
        "blank" => &[(9, 9), (32, 32)],
        "cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
        "digit" => &[DIGIT],
        "graph" => &[(0x21, 0x7e)],
        "lower" => &[LOWER],
        "print" => &[(0x20, 0x7e)],
        "punct" => &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)],
        "space" => &[(9, 13), (32, 32)],
        "upper" => &[UPPER],
        "word" => &[DIGIT, UPPER, (0x5f, 0x5f), LOWER],
        "xdigit" => &[DIGIT, (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    })
}

pub(super) enum UnicodeSet {
    Any,
    Nothing,
    /// Names of properties as the crate knows them; the set is their union.
    Properties(Vec<String>),
}

/// `\p{name}`: a general category by its short name or a script by its long one, nothing else, in exactly Go's spelling.
pub(super) fn unicode(name: &str) -> Option<UnicodeSet> {
    let properties = |names: &[&str]| UnicodeSet::Properties(names.iter().map(|&name| name.to_owned()).collect());
    Some(match name {
        "Any" => UnicodeSet::Any,
        // Surrogates are in no text.
        "Cs" => UnicodeSet::Nothing,
        // Without Cn, unlike in the crate.
        "C" => properties(&["Cc", "Cf", "Co"]),
        _ if CATEGORIES.contains(&name) => properties(&[name]),
        _ if SCRIPTS.contains(&name) => UnicodeSet::Properties(vec![format!("Script={name}")]),
        _ => return None,
    })
}

const CATEGORIES: &[&str] = &[
    "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd",
    "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
];

/// The scripts of Unicode 15.0, which Go's tables hold.
#[rustfmt::skip]
const SCRIPTS: &[&str] = &[
    "Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "Bassa_Vah",
    "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid", "Canadian_Aboriginal",
    "Carian", "Caucasian_Albanian", "Chakma", "Cham", "Cherokee", "Chorasmian", "Common", "Coptic", "Cuneiform",
    "Cypriot", "Cypro_Minoan", "Cyrillic", "Deseret", "Devanagari", "Dives_Akuru", "Dogra", "Duployan",
    "Egyptian_Hieroglyphs", "Elbasan", "Elymaic", "Ethiopic", "Georgian", "Glagolitic", "Gothic", "Grantha", "Greek",
    "Gujarati", "Gunjala_Gondi", "Gurmukhi", "Han", "Hangul", "Hanifi_Rohingya", "Hanunoo", "Hatran", "Hebrew",
    "Hiragana", "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi", "Inscriptional_Parthian", "Javanese",
    "Kaithi", "Kannada", "Katakana", "Kawi", "Kayah_Li", "Kharoshthi", "Khitan_Small_Script", "Khmer", "Khojki",
    "Khudawadi", "Lao", "Latin", "Lepcha", "Limbu", "Linear_A", "Linear_B", "Lisu", "Lycian", "Lydian", "Mahajani",
    "Makasar", "Malayalam", "Mandaic", "Manichaean", "Marchen", "Masaram_Gondi", "Medefaidrin", "Meetei_Mayek",
    "Mende_Kikakui", "Meroitic_Cursive", "Meroitic_Hieroglyphs", "Miao", "Modi", "Mongolian", "Mro", "Multani",
    "Myanmar", "Nabataean", "Nag_Mundari", "Nandinagari", "New_Tai_Lue", "Newa", "Nko", "Nushu",
    "Nyiakeng_Puachue_Hmong", "Ogham", "Ol_Chiki", "Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic",
    "Old_Persian", "Old_Sogdian", "Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya", "Osage", "Osmanya",
    "Pahawh_Hmong", "Palmyrene", "Pau_Cin_Hau", "Phags_Pa", "Phoenician", "Psalter_Pahlavi", "Rejang", "Runic",
    "Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham", "SignWriting", "Sinhala", "Sogdian", "Sora_Sompeng",
    "Soyombo", "Sundanese", "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le", "Tai_Tham", "Tai_Viet",
    "Takri", "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan", "Tifinagh", "Tirhuta", "Toto",
    "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Warang_Citi", "Yezidi", "Yi", "Zanabazar_Square",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_knows_every_property_by_our_name() {
        for name in CATEGORIES.iter().chain(SCRIPTS).chain(&["C", "Cs", "Any"]) {
            for negated in [false, true] {
                let mut class = CharClass::default();
                class.add_unicode(&unicode(name).unwrap(), negated);
                let mut text = String::new();
                class.write_to(&mut text);
                assert!(regex::Regex::new(&text).is_ok(), "{name}: {text}");
            }
        }
    }
}
