//! One operand under one verb, with its flags.

use super::Sink;
use super::float::push_float;
use crate::model::{Labels, Sample};
use crate::template::quote::{can_backquote, describe_char, is_print, quote_with, truncate_chars};
use crate::template::value::{Args, Held, IntType, ROOT_TYPE, Str, Value};

pub(super) struct Printer<'s, 'o> {
    sink: &'s mut Sink<'o>,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`: field names.
    plus_v: bool,
    /// `%#v`: Go syntax.
    sharp_v: bool,
    /// Inside an error marker, where `String` methods are not asked.
    erroring: bool,
}

impl<'s, 'o> Printer<'s, 'o> {
    pub(super) fn new(sink: &'s mut Sink<'o>) -> Printer<'s, 'o> {
        Printer {
            sink,
            width: None,
            precision: None,
            minus: false,
            plus: false,
            sharp: false,
            space: false,
            zero: false,
            plus_v: false,
            sharp_v: false,
            erroring: false,
        }
    }

    pub(super) fn set_flag(&mut self, flag: u8) {
        match flag {
            b'#' => self.sharp = true,
            b'0' => self.zero = true,
            b'+' => self.plus = true,
            b'-' => self.minus = true,
            _ => self.space = true,
        }
    }

    pub(super) fn set_width_from_value(&mut self, width: i64) {
        self.width = Some(width.unsigned_abs() as usize);
        if width < 0 {
            self.minus = true;
            self.zero = false;
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.sink.out.push_str(text);
    }

    fn full(&self) -> bool {
        self.sink.out.len() > self.sink.limit
    }

    /// `%!d(MISSING)`.
    pub(super) fn marker(&mut self, verb: char, text: &str) {
        self.sink.out.extend(["%!".chars(), verb.to_string().chars()].into_iter().flatten());
        self.push("(");
        self.push(text);
        self.push(")");
    }

    pub(super) fn print(&mut self, value: &Value<'_>, verb: char) {
        if verb == 'v' {
            (self.sharp_v, self.plus_v) = (self.sharp, self.plus);
            (self.sharp, self.plus) = (false, false);
        }
        match (value, verb) {
            (Value::Nil | Value::NilInterface, 'T' | 'v') => self.pad("<nil>"),
            (_, 'T') => self.string(value.type_name()),
            (_, 'p') if is_pointer(value) => self.pointer(),
            (_, 'p') => self.bad_verb(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    /// `%v` of what a pointer points to.
    pub(super) fn print_pointee(&mut self, value: &Value<'_>) {
        self.value(value, 'v', 1);
    }

    fn bad_verb(&mut self, value: &Value<'_>, verb: char) {
        self.erroring = true;
        self.push("%!");
        self.sink.out.push(verb);
        self.push("(");
        if let Value::Nil | Value::NilInterface = value {
            self.push("<nil>");
        } else {
            self.push(value.type_name());
            self.push("=");
            self.value(value, 'v', 0);
        }
        self.push(")");
        self.erroring = false;
    }

    fn value(&mut self, value: &Value<'_>, verb: char, depth: usize) {
        if self.full() {
            return;
        }
        if !self.erroring
            && !self.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = value.to_text()
        {
            return self.string_verb(&text, value, verb);
        }
        match value {
            Value::Nil | Value::NilInterface if depth > 0 => {
                self.push(if self.sharp_v { "interface {}(nil)" } else { "<nil>" });
            }
            Value::Nil | Value::NilInterface => self.bad_verb(value, verb),
            Value::NilSample if self.sharp_v => self.push("(*template.sample)(nil)"),
            Value::NilSample => self.pad("<nil>"),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => self.pad(if *truth { "true" } else { "false" }),
            Value::Bool(_) => self.bad_verb(value, verb),
            Value::Int(number, _) | Value::Duration(number, Held::Directly) => self.integer_verb(*number, value, verb),
            Value::Float(number) => self.float_verb(*number, value, verb),
            Value::Complex(real, imaginary) => self.complex_verb(*real, *imaginary, value, verb),
            Value::Str(text) | Value::Html(text) => self.string_verb(text, value, verb),
            Value::Labels(labels) => self.labels(labels, verb, depth),
            Value::Args(args) => self.args(args, verb, depth),
            Value::Root(context) => self.fields(
                ROOT_TYPE,
                &[
                    ("Labels", Value::Labels(context.labels)),
                    ("ExternalLabels", Value::Labels(context.external_labels)),
                    ("ExternalURL", Value::Str(Str::Borrowed(context.external_url))),
                    ("Value", Value::from_model(context.value)),
                ],
                verb,
                depth,
            ),
            Value::Results(results) => {
                self.push(if self.sharp_v { "template.queryResult{" } else { "[" });
                for index in 0..results.len() {
                    if self.full() {
                        return;
                    }
                    self.push(match (index, self.sharp_v) {
                        (0, _) => "",
                        (_, true) => ", ",
                        (_, false) => " ",
                    });
                    self.pointer();
                }
                self.push(if self.sharp_v { "}" } else { "]" });
            }
            Value::Sample(sample) => self.sample(sample, verb, depth),
            Value::Histogram(_) | Value::Time(..) | Value::Duration(..) | Value::Location => {
                // Only `%#v`, `%d` and their like come here; Go shows fields or addresses.
                let text = value.to_text().unwrap_or_default();
                self.pad(&text);
            }
        }
    }

    fn sample(&mut self, sample: &Sample, verb: char, depth: usize) {
        if depth == 0 {
            self.push("&");
        }
        let fields = [("Labels", Value::Labels(&sample.labels)), ("Value", Value::from_model(&sample.value))];
        self.fields("template.sample", &fields, verb, depth);
    }

    fn fields(&mut self, type_name: &str, fields: &[(&str, Value<'_>)], verb: char, depth: usize) {
        if self.sharp_v {
            self.push(type_name);
        }
        self.push("{");
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                self.push(if self.sharp_v { ", " } else { " " });
            }
            if self.plus_v || self.sharp_v {
                self.push(name);
                self.push(":");
            }
            self.value(value, verb, depth + 1);
        }
        self.push("}");
    }

    fn labels(&mut self, labels: &Labels, verb: char, depth: usize) {
        let entries = labels.iter().map(|(name, value)| (name, Value::Str(Str::Borrowed(value))));
        self.map("map[string]string", entries, verb, depth);
    }

    fn args(&mut self, args: &Args<'_>, verb: char, depth: usize) {
        let entries = args.entries.iter().map(|(name, value)| (name.as_str(), value.clone()));
        self.map("map[string]interface {}", entries, verb, depth);
    }

    fn map<'k, 'm>(
        &mut self,
        type_name: &str,
        entries: impl Iterator<Item = (&'k str, Value<'m>)>,
        verb: char,
        depth: usize,
    ) {
        self.push(if self.sharp_v { type_name } else { "map" });
        self.push(if self.sharp_v { "{" } else { "[" });
        for (index, (name, value)) in entries.enumerate() {
            if self.full() {
                return;
            }
            if index > 0 {
                self.push(if self.sharp_v { ", " } else { " " });
            }
            let key = Value::Str(Str::Borrowed(name));
            self.value(&key, verb, depth + 1);
            self.push(":");
            if matches!(value, Value::Sample(_)) {
                self.pointer();
            } else {
                self.value(&value, verb, depth + 1);
            }
        }
        self.push(if self.sharp_v { "}" } else { "]" });
    }

    /// An address. Go's are different in every run; ours is always the same.
    fn pointer(&mut self) {
        self.pad("0xc000000000");
    }

    /// Writes a text, padded to the width, which counts characters.
    fn pad(&mut self, text: &str) {
        let missing = match self.width {
            None | Some(0) => 0,
            Some(width) => width.saturating_sub(text.chars().count()),
        };
        if self.minus {
            self.push(text);
            self.padding(missing, ' ');
        } else {
            self.padding(missing, if self.zero { '0' } else { ' ' });
            self.push(text);
        }
    }

    fn pad_with_spaces(&mut self, text: &str) {
        let zero = std::mem::take(&mut self.zero);
        self.pad(text);
        self.zero = zero;
    }

    fn padding(&mut self, count: usize, with: char) {
        self.sink.out.extend(std::iter::repeat_n(with, count));
    }

    fn string(&mut self, text: &str) {
        let text = self.precision.map_or(text, |precision| truncate_chars(text, precision));
        self.pad(text);
    }

    fn string_verb(&mut self, text: &str, value: &Value<'_>, verb: char) {
        match verb {
            'v' if self.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'q' => self.quoted(text),
            'x' | 'X' => self.hex_string(text, verb),
            _ => self.bad_verb(value, verb),
        }
    }

    fn quoted(&mut self, text: &str) {
        let text = self.precision.map_or(text, |precision| truncate_chars(text, precision));
        if self.sharp && can_backquote(text) {
            self.pad(&format!("`{text}`"));
        } else {
            let quoted = quote_with(text, '"', self.plus);
            self.pad(&quoted);
        }
    }

    fn hex_string(&mut self, text: &str, verb: char) {
        let bytes = text.as_bytes();
        let bytes = &bytes[..self.precision.map_or(bytes.len(), |precision| precision.min(bytes.len()))];
        let prefix = match (self.sharp, verb) {
            (false, _) => "",
            (true, 'x') => "0x",
            (true, _) => "0X",
        };
        let mut hex = String::with_capacity(bytes.len() * 2 + 2);
        for (index, byte) in bytes.iter().enumerate() {
            if index == 0 {
                hex.push_str(prefix);
            } else if self.space {
                hex.push(' ');
                hex.push_str(prefix);
            }
            hex.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
        }
        self.pad(&hex);
    }

    fn integer_verb(&mut self, number: i64, value: &Value<'_>, verb: char) {
        match verb {
            'v' if self.sharp_v && matches!(value, Value::Int(_, IntType::Uint8)) => self.push(&format!("{number:#x}")),
            'v' | 'd' => self.integer(number, 10, verb),
            'b' => self.integer(number, 2, verb),
            'o' | 'O' => self.integer(number, 8, verb),
            'x' | 'X' => self.integer(number, 16, verb),
            'c' => self.pad(&char_of(number).to_string()),
            'q' => {
                let quoted = quote_with(&char_of(number).to_string(), '\'', self.plus);
                self.pad(&quoted);
            }
            'U' => self.unicode(number),
            _ => self.bad_verb(value, verb),
        }
    }

    fn integer(&mut self, number: i64, radix: u32, verb: char) {
        let size = number.unsigned_abs();
        let signed = number < 0 || self.plus || self.space;
        let digits_min = match (self.precision, self.width) {
            // No digits at all for a zero of precision zero.
            (Some(0), _) if size == 0 => return self.pad_with_spaces(""),
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => width.saturating_sub(usize::from(signed)),
            _ => 0,
        };
        let mut digits = match (radix, verb) {
            (2, _) => format!("{size:b}"),
            (8, _) => format!("{size:o}"),
            (16, 'x') => format!("{size:x}"),
            (16, _) => format!("{size:X}"),
            _ => size.to_string(),
        };
        if digits.len() < digits_min {
            digits.insert_str(0, &"0".repeat(digits_min - digits.len()));
        }
        let prefix = match (radix, verb) {
            (_, 'O') => "0o",
            (2, _) if self.sharp => "0b",
            (8, _) if self.sharp && !digits.starts_with('0') => "0",
            (16, 'x') if self.sharp => "0x",
            (16, _) if self.sharp => "0X",
            _ => "",
        };
        let sign = match number {
            ..0 => "-",
            _ if self.plus => "+",
            _ if self.space => " ",
            _ => "",
        };
        self.pad_with_spaces(&format!("{sign}{prefix}{digits}"));
    }

    fn unicode(&mut self, number: i64) {
        let digits = self.precision.unwrap_or(4).max(4);
        let hex = format!("{number:X}");
        let mut text = format!("U+{}{hex}", "0".repeat(digits.saturating_sub(hex.len())));
        if self.sharp
            && let Some(c) = u32::try_from(number).ok().and_then(char::from_u32)
            && is_print(c)
        {
            let described = describe_char(c);
            text.push_str(&described[described.find(' ').unwrap_or(described.len())..]);
        }
        self.pad_with_spaces(&text);
    }

    fn float_verb(&mut self, number: f64, value: &Value<'_>, verb: char) {
        match verb {
            'v' => self.float(number, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float(number, verb, None),
            'f' | 'F' | 'e' | 'E' => self.float(number, verb, Some(6)),
            _ => self.bad_verb(value, verb),
        }
    }

    fn complex_verb(&mut self, real: f64, imaginary: f64, value: &Value<'_>, verb: char) {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad_verb(value, verb);
        }
        self.push("(");
        self.float_verb(real, value, verb);
        let plus = std::mem::replace(&mut self.plus, true);
        self.float_verb(imaginary, value, verb);
        self.plus = plus;
        self.push("i)");
    }

    fn float(&mut self, number: f64, verb: char, precision: Option<usize>) {
        let precision = self.precision.or(precision);
        let mut text = String::new();
        push_float(&mut text, number, verb, precision);
        if !text.starts_with(['+', '-']) {
            text.insert(0, '+');
        }
        if self.space && text.starts_with('+') && !self.plus {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            let bare = number.is_nan() && !self.space && !self.plus;
            return self.pad_with_spaces(if bare { &text[1..] } else { &text });
        }
        if self.sharp && verb != 'b' {
            text = with_point(&text, verb, precision);
        }
        if !self.plus && text.starts_with('+') {
            return self.pad(&text[1..]);
        }
        match self.width {
            // The sign goes before the zeros.
            Some(width) if self.zero && !self.minus && width > text.len() => {
                self.push(&text[..1]);
                self.padding(width - text.len(), '0');
                self.push(&text[1..]);
            }
            _ => self.pad(&text),
        }
    }
}

/// `%#g` and its like: always a decimal point, and trailing zeros up to the precision. The sign comes first.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let hex = matches!(verb, 'x' | 'X');
    let mark = |c: char| matches!(c, 'p' | 'P') || (!hex && matches!(c, 'e' | 'E'));
    let (number, tail) = text.split_at(text.find(mark).unwrap_or(text.len()));
    let mut missing = match verb {
        'g' | 'G' | 'x' | 'X' => precision.unwrap_or(6),
        _ => 0,
    };
    let mut seen_nonzero = false;
    for c in number[1..].chars().filter(|c| *c != '.') {
        seen_nonzero |= c != '0';
        missing = missing.saturating_sub(usize::from(seen_nonzero));
    }
    let mut out = number.to_owned();
    if !number.contains('.') {
        if number.len() == 2 && number.ends_with('0') {
            missing = missing.saturating_sub(1);
        }
        out.push('.');
    }
    out.extend(std::iter::repeat_n('0', missing));
    out.push_str(tail);
    out
}

fn is_pointer(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Sample(_)
            | Value::NilSample
            | Value::Histogram(_)
            | Value::Time(_, Held::ByPointer)
            | Value::Duration(_, Held::ByPointer)
            | Value::Location
            | Value::Labels(_)
            | Value::Args(_)
            | Value::Results(_)
    )
}

fn char_of(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}
