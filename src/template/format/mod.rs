//! Go's `fmt`: default printing, `print`, `println` and `printf` with its error markers.
//!
//! Source: documentation of Go's package `fmt`.

mod float;
mod printer;

use super::limits::PRINTF_NUMBER_MAX;
use super::value::{IntType, Value};
use printer::Printer;

/// Bounded output: printing stops when `limit` bytes are written, and the caller finds `out` above it.
pub(super) struct Sink<'o> {
    pub(super) out: &'o mut String,
    pub(super) limit: usize,
}

/// `%v`, the way of an action that prints its value.
pub(super) fn push_value(sink: &mut Sink<'_>, value: &Value<'_>) {
    match value {
        Value::Str(text) | Value::Html(text) => sink.out.push_str(text),
        Value::Float(value) => float::push_float(sink.out, *value, 'g', None),
        Value::Nil | Value::NilInterface => sink.out.push_str("<no value>"),
        // Go prints what a pointer points to.
        Value::Sample(_) => Printer::new(sink).print_pointee(value),
        _ => Printer::new(sink).print(value, 'v'),
    }
}

/// A float by verb and precision, as in `%.4g`.
pub(super) fn push_float(out: &mut String, value: f64, verb: char, precision: usize) {
    float::push_float(out, value, verb, Some(precision));
}

/// `fmt.Sprint`: spaces between operands where neither is a string.
pub(super) fn sprint(sink: &mut Sink<'_>, values: &[Value<'_>]) {
    let mut after_string = true;
    for value in values {
        let is_string = matches!(value, Value::Str(_) | Value::Html(_));
        if !is_string && !after_string {
            sink.out.push(' ');
        }
        Printer::new(sink).print(value, 'v');
        after_string = is_string;
    }
}

/// `fmt.Sprint` of what pointers point to, for the escaping functions.
pub(super) fn sprint_pointees(sink: &mut Sink<'_>, values: &[Value<'_>]) {
    let mut after_string = true;
    for value in values {
        let is_string = matches!(value, Value::Str(_) | Value::Html(_) | Value::Nil | Value::NilInterface);
        if !is_string && !after_string {
            sink.out.push(' ');
        }
        push_value(sink, value);
        after_string = is_string;
    }
}

/// `fmt.Sprintln`: spaces between all operands, and a newline.
pub(super) fn sprintln(sink: &mut Sink<'_>, values: &[Value<'_>]) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            sink.out.push(' ');
        }
        Printer::new(sink).print(value, 'v');
    }
    sink.out.push('\n');
}

/// `fmt.Sprintf`.
pub(super) fn sprintf(sink: &mut Sink<'_>, format: &str, values: &[Value<'_>]) {
    Directives { format, at: 0, values, next_value: 0, reordered: false, good_index: true, after_index: false }
        .run(sink);
}

/// The walk over a format string.
struct Directives<'f, 'v> {
    format: &'f str,
    at: usize,
    values: &'f [Value<'v>],
    next_value: usize,
    /// An explicit index was used somewhere.
    reordered: bool,
    good_index: bool,
    /// The directive's last element was an index.
    after_index: bool,
}

impl Directives<'_, '_> {
    fn run(mut self, sink: &mut Sink<'_>) {
        while self.at < self.format.len() {
            if sink.out.len() > sink.limit {
                return;
            }
            let rest = &self.format[self.at..];
            let text = rest.find('%').unwrap_or(rest.len());
            sink.out.push_str(&rest[..text]);
            self.at += text;
            if self.at < self.format.len() {
                self.at += 1;
                self.directive(sink);
            }
        }
        if !self.reordered && self.next_value < self.values.len() {
            self.extra(sink);
        }
    }

    fn byte(&self) -> Option<u8> {
        self.format.as_bytes().get(self.at).copied()
    }

    fn directive(&mut self, sink: &mut Sink<'_>) {
        let mut printer = Printer::new(sink);
        (self.good_index, self.after_index) = (true, false);
        while let Some(flag @ (b'#' | b'0' | b'+' | b'-' | b' ')) = self.byte() {
            printer.set_flag(flag);
            self.at += 1;
        }
        self.index();
        self.width(&mut printer);
        if self.byte() == Some(b'.') {
            self.precision(&mut printer);
        }
        if !self.after_index {
            self.index();
        }
        let Some(verb) = self.format[self.at..].chars().next() else {
            printer.push("%!(NOVERB)");
            return;
        };
        self.at += verb.len_utf8();
        if verb == '%' {
            printer.push("%");
        } else if !self.good_index {
            printer.marker(verb, "BADINDEX");
        } else if let Some(value) = self.values.get(self.next_value) {
            self.next_value += 1;
            printer.print(value, verb);
        } else {
            printer.marker(verb, "MISSING");
        }
    }

    fn width(&mut self, printer: &mut Printer<'_, '_>) {
        if self.byte() == Some(b'*') {
            self.at += 1;
            match self.int_value() {
                Some(width) => printer.set_width_from_value(width),
                None => printer.push("%!(BADWIDTH)"),
            }
            self.after_index = false;
        } else {
            let width = self.number();
            if self.after_index && width.is_some() {
                self.good_index = false;
            }
            printer.width = width;
        }
    }

    fn precision(&mut self, printer: &mut Printer<'_, '_>) {
        self.at += 1;
        if self.after_index {
            self.good_index = false;
        }
        self.index();
        if self.byte() == Some(b'*') {
            self.at += 1;
            let precision = self.int_value();
            // A negative precision counts as none.
            printer.precision = precision.and_then(|precision| usize::try_from(precision).ok());
            if printer.precision.is_none() {
                printer.push("%!(BADPREC)");
            }
            self.after_index = false;
        } else {
            printer.precision = Some(self.number().unwrap_or(0));
        }
    }

    /// A decimal number. One that is too large swallows the rest of the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        let mut number = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            if number > PRINTF_NUMBER_MAX {
                self.at = self.format.len();
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        (self.at > start).then_some(number as usize)
    }

    fn int_value(&mut self) -> Option<i64> {
        let value = self.values.get(self.next_value)?;
        self.next_value += 1;
        match value {
            Value::Int(value, IntType::Int | IntType::Int64 | IntType::Uint8 | IntType::Month | IntType::Weekday)
                if value.abs() <= PRINTF_NUMBER_MAX =>
            {
                Some(*value)
            }
            _ => None,
        }
    }

    /// An explicit argument index, `[2]`.
    fn index(&mut self) {
        if self.byte() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(close) = rest.find(']') else {
            self.at += 1;
            self.good_index = false;
            return;
        };
        let inner = &rest[1..close];
        self.at += close + 1;
        let number = inner.bytes().all(|b| b.is_ascii_digit()).then(|| inner.parse::<usize>().ok()).flatten();
        match number {
            Some(number) if (1..=self.values.len()).contains(&number) => {
                self.next_value = number - 1;
                self.after_index = true;
            }
            _ => self.good_index = false,
        }
    }

    fn extra(&self, sink: &mut Sink<'_>) {
        sink.out.push_str("%!(EXTRA ");
        for (index, value) in self.values[self.next_value..].iter().enumerate() {
            if index > 0 {
                sink.out.push_str(", ");
            }
            if let Value::Nil | Value::NilInterface = value {
                sink.out.push_str("<nil>");
            } else {
                sink.out.push_str(value.type_name());
                sink.out.push('=');
                Printer::new(sink).print(value, 'v');
            }
        }
        sink.out.push(')');
    }
}
