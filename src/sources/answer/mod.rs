//! The answer of Prometheus' query API to an instant query, read as it arrives.
//!
//! Bytes go in as chunks of any size; every element of the result becomes a sample as soon as it is whole, so that at no
//! time more than one element of JSON is held. Keys may stand in any order, unknown ones are passed over, and only a
//! whole document is an answer: what ends in the middle has no value.
//!
//! Source: Prometheus `web/api/v1/api.go` and `web/api/v1/json_codec.go`; what we take beyond them is said where it is.

mod cursor;
mod element;

use std::sync::Arc;

use self::cursor::{Cursor, Stop};
use self::element::{Element, Elements};
use super::beginning;
use crate::model::{Annotations, Evaluated, Labels, Sample, Series};

/// Most warnings, and most infos, kept of one answer. Prometheus itself sends no more than 11 of each.
const ANNOTATIONS_MAX: usize = 100;

/// Longest part of an error's text that is kept, in bytes: it is shown on pages and in logs, line by line.
const ERROR_TEXT_BYTES_MAX: usize = 4096;

/// What is said of an answer that VictoriaMetrics calls partial. Like the partial answers that other peers tell by their
/// own warnings it is taken as it is.
const PARTIAL: &str = "the answer is partial: some of the source's storage did not answer";

/// A unit (one element, mostly) that is not whole within this many bytes is tried again only when twice as many are
/// there, so that a huge one costs linear, not quadratic time.
const UNIT_BYTES_USUAL: usize = 64 << 10;

/// Why an answer has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The peer said so itself, in Prometheus' error envelope.
    #[error("{error_type}: {message}")]
    Envelope { error_type: String, message: String },
    #[error("the answer is not JSON: {what} at byte {offset}")]
    NotJson { what: &'static str, offset: u64 },
    #[error("the answer is JSON, but not that of the query API: {what} at byte {offset}")]
    Shape { what: &'static str, offset: u64 },
    #[error("the answer ended in the middle, after {bytes} bytes")]
    Cut { bytes: u64 },
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
}

/// Reads one answer: `push` its bytes as they come, then `finish`.
#[derive(Debug)]
pub struct AnswerParser {
    bytes_max: u64,
    bytes_seen: u64,
    /// Of the stream, in front of `rest` (and of the window that is being read).
    bytes_done: u64,
    /// The beginning of a unit whose end has not arrived.
    rest: Vec<u8>,
    /// Bytes of `rest` that are worth another try.
    rest_wanted: usize,
    state: State,
    document: Document,
    elements: Elements,
    failed: Option<AnswerError>,
}

/// Where in the document the next unit stands. The depth is fixed, so there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// Before a key of an object, or (only before the `first`) its end.
    Key {
        object: Object,
        first: bool,
    },
    Value(Field),
    /// Behind a value of an object.
    Next(Object),
    /// Before an element of the result, or (only before the `first`) its end.
    Element {
        first: bool,
    },
    ElementNext,
    /// Behind the document: white space only.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Top,
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Status,
    Data,
    ErrorType,
    Error,
    Warnings,
    Infos,
    /// VictoriaMetrics': some of its storage nodes did not answer.
    IsPartial,
    ResultType,
    Result,
    Unknown(Object),
}

/// What the document has said so far.
#[derive(Debug, Default)]
struct Document {
    status: Option<String>,
    error_type: Option<String>,
    error: Option<String>,
    annotations: Annotations,
    partial: bool,
    result_type: Option<ResultType>,
    result_seen: bool,
    /// Of a `vector`.
    samples: Vec<Sample>,
    /// Of a `matrix`.
    series: Vec<Series>,
    /// The text of a `scalar` or `string`.
    single: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResultType {
    Vector,
    Scalar,
    Matrix,
    String,
}

impl AnswerParser {
    /// A reader of one answer of at most `bytes_max` bytes, that adds the source's labels `added` to every label set.
    pub fn new(bytes_max: u64, added: Labels) -> AnswerParser {
        AnswerParser {
            bytes_max,
            bytes_seen: 0,
            bytes_done: 0,
            rest: Vec::new(),
            rest_wanted: 0,
            state: State::Start,
            document: Document::default(),
            elements: Elements::new(added),
            failed: None,
        }
    }

    /// Takes the next bytes of the answer. An error is final: it comes again from whatever is called next.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), AnswerError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let read = self.take(chunk);
        if let Err(error) = &read {
            self.failed = Some(error.clone());
        }
        read
    }

    /// The value of a whole answer.
    pub fn finish(mut self) -> Result<(Evaluated, Annotations), AnswerError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let rest = std::mem::take(&mut self.rest);
        self.read(&rest)?;
        match self.state {
            State::End => self.document.finish(self.bytes_seen),
            State::Start => Err(AnswerError::NotJson { what: "nothing where an object was expected", offset: 0 }),
            _ => Err(AnswerError::Cut { bytes: self.bytes_seen }),
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), AnswerError> {
        self.bytes_seen = self.bytes_seen.saturating_add(chunk.len() as u64);
        if self.bytes_seen > self.bytes_max {
            return Err(AnswerError::TooLarge { bytes_max: self.bytes_max });
        }
        if self.rest.is_empty() {
            let done = self.read(chunk)?;
            self.rest.extend_from_slice(&chunk[done..]);
        } else {
            self.rest.extend_from_slice(chunk);
            if self.rest.len() < self.rest_wanted {
                return Ok(());
            }
            let mut window = std::mem::take(&mut self.rest);
            let done = self.read(&window)?;
            window.drain(..done);
            self.rest = window;
        }
        self.rest_wanted = if self.rest.len() > UNIT_BYTES_USUAL { self.rest.len().saturating_mul(2) } else { 0 };
        Ok(())
    }

    /// Reads all whole units of a window, and says how many of its bytes they took.
    fn read(&mut self, window: &[u8]) -> Result<usize, AnswerError> {
        let (text, fault) = valid_text(window);
        let mut cursor = Cursor::new(text);
        let mut done = 0;
        let stop = loop {
            match self.step(&mut cursor) {
                Ok(state) => (self.state, done) = (state, cursor.at()),
                Err(stop) => break stop,
            }
        };
        let offset = self.bytes_done.saturating_add(cursor.at() as u64);
        match stop {
            Stop::More if fault => Err(AnswerError::NotJson {
                what: "bytes that are not UTF-8",
                offset: self.bytes_done.saturating_add(text.len() as u64),
            }),
            Stop::More => {
                self.bytes_done = self.bytes_done.saturating_add(done as u64);
                Ok(done)
            }
            Stop::Malformed(what) => Err(AnswerError::NotJson { what, offset }),
            Stop::Shape(what) => Err(AnswerError::Shape { what, offset }),
        }
    }

    /// Reads one unit. Nothing of it is kept unless it is whole.
    #[inline]
    fn step(&mut self, cursor: &mut Cursor<'_>) -> Result<State, Stop> {
        match self.state {
            State::Element { first } => self.element(cursor, first),
            State::ElementNext => match cursor.next()? {
                b',' => Ok(State::Element { first: false }),
                b']' => Ok(State::Next(Object::Data)),
                _ => Err(cursor.malformed("no `,` or `]` behind an element")),
            },
            State::Start => match cursor.peek()? {
                b'{' => cursor.next().map(|_| State::Key { object: Object::Top, first: true }),
                _ => cursor.wrong_value("no object"),
            },
            State::Key { object, first } => key(cursor, object, first),
            State::Value(field) => self.value(cursor, field),
            State::Next(object) => match cursor.next()? {
                b',' => Ok(State::Key { object, first: false }),
                b'}' => Ok(behind(object)),
                _ => Err(cursor.malformed("no `,` or `}` behind a value")),
            },
            State::End => {
                cursor.next()?;
                Err(cursor.malformed("more behind the end of the answer"))
            }
        }
    }

    #[inline]
    fn element(&mut self, cursor: &mut Cursor<'_>, first: bool) -> Result<State, Stop> {
        match cursor.peek()? {
            b'{' => match self.elements.read(cursor)? {
                Element::Sample(sample) if self.document.series.is_empty() => self.document.samples.push(sample),
                Element::Series(series) if self.document.samples.is_empty() => self.document.series.push(series),
                _ => return Err(Stop::Shape("a result of samples and of series")),
            },
            b']' if first => {
                cursor.next()?;
                return Ok(State::Next(Object::Data));
            }
            byte if first && (byte == b'-' || byte.is_ascii_digit()) => {
                let text = element::timed_text(cursor)?;
                self.document.single = Some(text.into_owned());
                return Ok(State::Next(Object::Data));
            }
            _ => return cursor.wrong_value("an element that is no object"),
        }
        Ok(State::ElementNext)
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, field: Field) -> Result<State, Stop> {
        let document = &mut self.document;
        match field {
            // Of two, one would have to be believed.
            Field::Status if document.status.is_some() => return Err(Stop::Shape("a second `status`")),
            Field::Status => document.status = text_or_null(cursor)?,
            Field::ErrorType => document.error_type = text_or_null(cursor)?,
            Field::Error => document.error = text_or_null(cursor)?,
            Field::Warnings => document.annotations.warnings = texts_or_null(cursor)?,
            Field::Infos => document.annotations.infos = texts_or_null(cursor)?,
            Field::IsPartial => {
                document.partial |= cursor.peek()? == b't';
                cursor.skip_value()?;
            }
            Field::Data if cursor.peek()? == b'{' => {
                cursor.next()?;
                return Ok(State::Key { object: Object::Data, first: true });
            }
            Field::ResultType => {
                document.result_type = text_or_null(cursor)?.as_deref().map(result_type).transpose()?;
                return Ok(State::Next(Object::Data));
            }
            Field::Result if document.result_seen => return Err(Stop::Shape("a second `result`")),
            Field::Result if cursor.peek()? == b'[' => {
                cursor.next()?;
                document.result_seen = true;
                return Ok(State::Element { first: true });
            }
            Field::Result => {
                // A Go server that has no slice to show writes null.
                if cursor.peek()? != b'n' {
                    return cursor.wrong_value("a `result` that is no array");
                }
                cursor.skip_value()?;
                document.result_seen = true;
                return Ok(State::Next(Object::Data));
            }
            // Other shapes of `data` belong to other endpoints; without a result they are refused at the end.
            Field::Data | Field::Unknown(Object::Top) => cursor.skip_value()?,
            Field::Unknown(Object::Data) => {
                cursor.skip_value()?;
                return Ok(State::Next(Object::Data));
            }
        }
        Ok(State::Next(Object::Top))
    }
}

/// The text of a window up to where it stops being UTF-8, and whether it stops for good (more bytes will not help).
fn valid_text(window: &[u8]) -> (&str, bool) {
    match std::str::from_utf8(window) {
        Ok(text) => (text, false),
        Err(error) => {
            let valid = &window[..error.valid_up_to()];
            (std::str::from_utf8(valid).expect("valid up to here, says the same check"), error.error_len().is_some())
        }
    }
}

fn key(cursor: &mut Cursor<'_>, object: Object, first: bool) -> Result<State, Stop> {
    if first && cursor.peek()? == b'}' {
        cursor.next()?;
        return Ok(behind(object));
    }
    let name = cursor.key()?;
    Ok(State::Value(match (object, &*name) {
        (Object::Top, "status") => Field::Status,
        (Object::Top, "data") => Field::Data,
        (Object::Top, "errorType") => Field::ErrorType,
        (Object::Top, "error") => Field::Error,
        (Object::Top, "warnings") => Field::Warnings,
        (Object::Top, "infos") => Field::Infos,
        (Object::Top, "isPartial") => Field::IsPartial,
        (Object::Data, "resultType") => Field::ResultType,
        (Object::Data, "result") => Field::Result,
        _ => Field::Unknown(object),
    }))
}

/// The state behind the `}` of an object.
fn behind(object: Object) -> State {
    match object {
        Object::Top => State::End,
        Object::Data => State::Next(Object::Top),
    }
}

fn text_or_null(cursor: &mut Cursor<'_>) -> Result<Option<String>, Stop> {
    match cursor.peek()? {
        b'"' => Ok(Some(beginning(&cursor.string()?, ERROR_TEXT_BYTES_MAX).to_owned())),
        b'n' => cursor.skip_value().map(|()| None),
        _ => cursor.wrong_value("something where a text was expected"),
    }
}

fn texts_or_null(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Stop> {
    let mut texts = Vec::new();
    if cursor.peek()? == b'n' {
        cursor.skip_value()?;
        return Ok(texts);
    }
    cursor.array(|cursor| {
        let text = text_or_null(cursor)?;
        texts.extend(text.filter(|_| texts.len() < ANNOTATIONS_MAX));
        Ok(())
    })?;
    Ok(texts)
}

fn result_type(text: &str) -> Result<ResultType, Stop> {
    match text {
        "vector" => Ok(ResultType::Vector),
        "scalar" => Ok(ResultType::Scalar),
        "matrix" => Ok(ResultType::Matrix),
        "string" => Ok(ResultType::String),
        _ => Err(Stop::Shape("a `resultType` that is none of vector, scalar, matrix, string")),
    }
}

impl Document {
    fn finish(mut self, offset: u64) -> Result<(Evaluated, Annotations), AnswerError> {
        let shape = |what| Err(AnswerError::Shape { what, offset });
        match self.status.as_deref() {
            Some("success") if self.error.as_deref().unwrap_or_default().is_empty() => {}
            // A success that names an error is none either.
            Some("success" | "error") => {
                return Err(AnswerError::Envelope {
                    error_type: self.error_type.unwrap_or_default(),
                    message: self.error.unwrap_or_default(),
                });
            }
            _ => return shape("no `status` of success or error"),
        }
        if !self.result_seen {
            return shape("no `result`");
        }
        if self.partial {
            self.annotations.warnings.push(PARTIAL.to_owned());
        }
        let (samples, series, single) = (self.samples, self.series, self.single);
        let value = match (self.result_type, single) {
            (None, _) => return shape("no `resultType`"),
            (Some(ResultType::Vector), None) if series.is_empty() => Evaluated::Vector(samples.into()),
            (Some(ResultType::Matrix), None) if samples.is_empty() => Evaluated::Matrix(series.into()),
            (Some(ResultType::Scalar), Some(text)) => match element::float(&text) {
                Some(value) => Evaluated::Scalar(value),
                None => return shape("a scalar that is no number"),
            },
            (Some(ResultType::String), Some(text)) => Evaluated::String(Arc::from(text)),
            _ => return shape("a `result` that does not fit its `resultType`"),
        };
        Ok((value, self.annotations))
    }
}

#[cfg(test)]
mod tests;
