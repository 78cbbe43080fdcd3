//! Makes a text ready for the `promql-parser` crate.
//!
//! The crate reads the structure; what it would misread, or fall over, never reaches it. Literals, matchers and label
//! lists are read here, kept aside and replaced by their numbers; operators are kept aside in their order. So no regular
//! expression is compiled by the crate, no number is out of its range, and nothing is lost that it does not keep.
//! Faults that can be seen from one token and the one before it are told here, with their place.

use std::fmt::Write;
use std::sync::Arc;

use super::functions::Function;
use super::lexer::{Kind, Token, tokens};
use super::tree::{AggregateOp, BinaryOp};
use super::{Features, ParseError, literal};
use crate::diagnostic::Span;
use crate::model::{METRIC_NAME, MatchOp, Matcher, quote};

/// Longest text, in bytes: label values may be long alternations, a rule file of this size is a mistake.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// Most tokens: the crate takes quadratic time for some of what it reads, and this many take it a few milliseconds.
const TOKENS_MAX: usize = 10_000;
/// Most operators, signs included. A chain of them is a tree of that height, and trees are walked by recursion.
const OPERATORS_MAX: usize = 400;
/// Deepest nesting of parentheses.
const NESTING_MAX: usize = 100;

/// What the crate is asked, and what its answer refers to.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) text: String,
    literals: Vec<Literal>,
    pub(super) operators: Vec<Operator>,
}

pub(super) enum Literal {
    Number { value: f64, as_duration: bool },
    Text(Arc<str>),
    Matcher(Matcher),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Binary(BinaryOp),
    /// A sign that belongs to no number. All are put to the crate as `-`: it would drop a plus.
    Sign {
        minus: bool,
    },
}

impl Prepared {
    fn keep(&mut self, literal: Literal) -> usize {
        self.literals.push(literal);
        self.literals.len()
    }

    /// The literal of a number that the crate gave back.
    pub(super) fn literal(&self, number: usize) -> Option<&Literal> {
        self.literals.get(number.checked_sub(1)?)
    }
}

pub(super) fn prepare(text: &str, features: Features) -> Result<Prepared, ParseError> {
    let whole = Span::new(0, text.len());
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("expression is too long: more than {TEXT_BYTES_MAX} bytes");
        return Err(ParseError { message, span: whole });
    }
    let (tokens, lexer_fault) = tokens(text, TOKENS_MAX);
    if tokens.is_empty() && lexer_fault.is_none() {
        return Err(ParseError { message: "no expression found in input".to_owned(), span: whole });
    }
    let mut writer = Writer {
        tokens: &tokens,
        next: 0,
        end: text.len(),
        lexer_fault,
        features,
        out: Prepared::default(),
        state: State::Start,
        open: Vec::new(),
        operators: 0,
    };
    writer.out.text.reserve(text.len());
    writer.write()?;
    Ok(writer.out)
}

/// What was read last, as far as it decides what may follow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Nothing, or an opening parenthesis.
    Start,
    /// A binary operator, with its modifiers so far.
    Operator,
    Sign,
    Comma,
    /// A name that stands before its arguments.
    Callee,
    /// A metric name, which braces may follow.
    Metric,
    Operand,
}

struct Writer<'t> {
    tokens: &'t [Token<'t>],
    next: usize,
    end: usize,
    /// Why the tokens end before the text does.
    lexer_fault: Option<ParseError>,
    features: Features,
    out: Prepared,
    state: State,
    /// The open parentheses; true for those that hold arguments.
    open: Vec<bool>,
    operators: usize,
}

type Done = Result<(), ParseError>;

impl<'t> Writer<'t> {
    fn write(&mut self) -> Done {
        while let Some(token) = self.take() {
            match token.kind {
                Kind::Number | Kind::Duration => {
                    self.operand(token)?;
                    self.number(token)?;
                }
                Kind::String => {
                    self.operand(token)?;
                    let text = self.unquote(token)?;
                    self.put_text(text);
                }
                Kind::Identifier | Kind::MetricIdentifier => self.name(token)?,
                Kind::Mark => self.mark(token)?,
            }
        }
        if self.after_operand() && self.lexer_fault.is_none() { Ok(()) } else { Err(self.end_fault("")) }
    }

    fn take(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.next).copied()?;
        self.next += 1;
        Some(token)
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.next).copied()
    }

    fn peek_is(&self, mark: &str) -> bool {
        self.peek().is_some_and(|token| token.is(mark))
    }

    fn after_operand(&self) -> bool {
        matches!(self.state, State::Operand | State::Metric)
    }

    /// Writes a word, parted from what is before it.
    fn put(&mut self, word: &str) {
        self.out.text.push(' ');
        self.out.text.push_str(word);
    }

    fn put_kept(&mut self, literal: Literal) {
        let number = self.out.keep(literal);
        _ = write!(self.out.text, " {number}");
    }

    fn put_text(&mut self, text: Arc<str>) {
        let number = self.out.keep(Literal::Text(text));
        _ = write!(self.out.text, "\"{number}\"");
    }

    /// What is wrong where the tokens end too soon.
    fn end_fault(&self, context: &str) -> ParseError {
        if let Some(fault) = &self.lexer_fault {
            return fault.clone();
        }
        ParseError { message: format!("unexpected end of input{context}"), span: Span::new(self.end, self.end) }
    }

    /// Checks that an operand may stand here.
    fn operand(&mut self, token: Token<'_>) -> Done {
        if self.after_operand() || self.state == State::Callee {
            return Err(unexpected(token, ""));
        }
        self.state = State::Operand;
        Ok(())
    }

    fn operator(&mut self, token: Token<'_>) -> Done {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            return Err(fault(format!("expression is too long: more than {OPERATORS_MAX} operators"), token));
        }
        self.state = State::Operator;
        Ok(())
    }

    fn unquote(&self, token: Token<'_>) -> Result<Arc<str>, ParseError> {
        literal::unquote(token.text).map(Arc::from).map_err(|message| fault(message, token))
    }

    fn number(&mut self, token: Token<'_>) -> Done {
        let kept = self.number_literal(token)?;
        self.put_kept(kept);
        Ok(())
    }

    fn number_literal(&self, token: Token<'_>) -> Result<Literal, ParseError> {
        let is_duration = token.kind == Kind::Duration;
        let value = if is_duration {
            literal::duration(token.text).map(|duration| duration.as_secs_f64())
        } else {
            literal::number(token.text)
        };
        value.map(|value| Literal::Number { value, as_duration: is_duration }).map_err(|message| fault(message, token))
    }

    fn name(&mut self, token: Token<'t>) -> Done {
        let word = token.text.to_ascii_lowercase();
        if self.after_operand() {
            return self.name_after_operand(token, &word);
        }
        let before_parens = self.peek_is("(");
        let is_operator = self.state == State::Operator;
        match &*word {
            "bool" if is_operator => match self.out.operators.last() {
                Some(Operator::Binary(op)) if op.is_comparison() => self.put("bool"),
                _ => return Err(fault("bool modifier can only be used on comparison operators".to_owned(), token)),
            },
            "on" | "ignoring" if is_operator => {
                self.put(&word);
                self.labels()?;
            }
            "group_left" | "group_right" if is_operator => {
                self.put(&word);
                if before_parens {
                    self.labels()?;
                }
            }
            "fill" | "fill_left" | "fill_right" if is_operator && before_parens => self.fill(token, &word)?,
            "by" | "without" if self.state == State::Callee && before_parens => {
                self.put(&word);
                self.labels()?;
            }
            _ if self.state == State::Callee => return Err(unexpected(token, "")),
            "bool" | "on" | "ignoring" | "group_left" | "group_right" => return Err(unexpected(token, "")),
            _ => match AggregateOp::named(&word) {
                Some(op) if self.opens_aggregation() => self.aggregation(op, token)?,
                _ if before_parens => self.function(token)?,
                _ => self.metric(token)?,
            },
        }
        Ok(())
    }

    fn opens_aggregation(&self) -> bool {
        let is_grouping = |token: Token<'_>| {
            token.kind == Kind::Identifier && ["by", "without"].iter().any(|word| token.text.eq_ignore_ascii_case(word))
        };
        self.peek().is_some_and(|next| next.is("(") || is_grouping(next))
    }

    fn aggregation(&mut self, op: AggregateOp, token: Token<'_>) -> Done {
        if op.is_experimental() && !self.features.experimental_functions {
            let message = format!("{}() is experimental and not enabled", op.as_str());
            return Err(fault(message, token));
        }
        self.put(op.as_str());
        self.state = State::Callee;
        Ok(())
    }

    fn function(&mut self, token: Token<'_>) -> Done {
        let Some(function) = Function::named(token.text) else {
            return Err(fault(format!("unknown function with name {}", quote(token.text)), token));
        };
        if function.experimental && !self.features.experimental_functions {
            return Err(fault(format!("function {} is not enabled", quote(token.text)), token));
        }
        self.put(token.text);
        self.state = State::Callee;
        Ok(())
    }

    fn metric(&mut self, token: Token<'_>) -> Done {
        // What the crate takes for a word of its own is told it by number.
        let reserved = ["anchored", "smoothed"].iter().any(|word| token.text.eq_ignore_ascii_case(word));
        if reserved || token.text.starts_with(':') {
            let number = self.out.keep(Literal::Text(Arc::from(token.text)));
            _ = write!(self.out.text, " :{number}");
        } else {
            self.put(token.text);
        }
        self.state = State::Metric;
        Ok(())
    }

    fn name_after_operand(&mut self, token: Token<'t>, word: &str) -> Done {
        match word {
            "and" | "or" | "unless" | "atan2" => {
                let op = BinaryOp::named(word).ok_or_else(|| unexpected(token, ""))?;
                self.binary(op, token)
            }
            "by" | "without" => {
                self.put(word);
                self.labels()?;
                self.state = State::Operand;
                Ok(())
            }
            "offset" => {
                self.put(word);
                self.signed_number(" in offset", "number, duration, step(), or range()")
            }
            "anchored" | "smoothed" => Err(fault(format!("{word} modifier is experimental and not enabled"), token)),
            _ => Err(unexpected(token, "")),
        }
    }

    /// What stands behind `offset` and `@`.
    fn signed_number(&mut self, context: &str, expected: &str) -> Done {
        self.state = State::Operand;
        let mut token = self.take().ok_or_else(|| self.end_fault(context))?;
        if token.is("+") || token.is("-") {
            self.put(token.text);
            token = self.take().ok_or_else(|| self.end_fault(context))?;
        }
        match token.kind {
            Kind::Number | Kind::Duration => self.number(token),
            _ if token.is("(") => Err(fault("duration expressions are not understood yet".to_owned(), token)),
            _ => Err(unexpected(token, &format!("{context}, expected {expected}"))),
        }
    }

    fn at(&mut self) -> Done {
        self.put("@");
        let Some(token) = self.peek() else {
            return Err(self.end_fault(" in @, expected timestamp"));
        };
        let word = token.text.to_ascii_lowercase();
        if token.kind == Kind::Identifier && matches!(&*word, "start" | "end") {
            self.next += 1;
            self.put(&word);
            for mark in ["(", ")"] {
                match self.take() {
                    Some(token) if token.is(mark) => self.put(mark),
                    Some(token) => return Err(unexpected(token, " in @, expected timestamp")),
                    None => return Err(self.end_fault(" in @, expected timestamp")),
                }
            }
            self.state = State::Operand;
            return Ok(());
        }
        self.signed_number(" in @", "timestamp")
    }

    fn fill(&mut self, token: Token<'_>, word: &str) -> Done {
        if !self.features.fill_modifiers {
            return Err(fault("fill modifiers are experimental and not enabled".to_owned(), token));
        }
        self.put(word);
        self.next += 1;
        self.put("(");
        self.signed_number(" in fill", "number")?;
        match self.take() {
            Some(token) if token.is(")") => self.put(")"),
            Some(token) => return Err(unexpected(token, " in fill, expected \")\"")),
            None => return Err(self.end_fault(" in fill")),
        }
        self.state = State::Operator;
        Ok(())
    }

    /// `(a, "b c", sum)`.
    fn labels(&mut self) -> Done {
        const IN: &str = " in grouping opts";
        match self.take() {
            Some(token) if token.is("(") => self.put("("),
            Some(token) => return Err(unexpected(token, " in grouping opts, expected \"(\"")),
            None => return Err(self.end_fault(IN)),
        }
        loop {
            let token = self.take().ok_or_else(|| self.end_fault(IN))?;
            let name = match token.kind {
                Kind::Identifier | Kind::MetricIdentifier => Arc::from(token.text),
                Kind::String => self.unquote(token)?,
                _ if token.is(")") => break,
                _ => return Err(unexpected(token, " in grouping opts, expected label")),
            };
            self.put_text(name);
            let token = self.take().ok_or_else(|| self.end_fault(IN))?;
            match token.text {
                ")" => break,
                "," => self.put(","),
                _ => return Err(unexpected(token, " in grouping opts, expected \",\" or \")\"")),
            }
        }
        self.put(")");
        Ok(())
    }

    fn mark(&mut self, token: Token<'t>) -> Done {
        match token.text {
            "," if self.after_operand() && self.open.last() == Some(&true) => {
                self.put(",");
                self.state = State::Comma;
                Ok(())
            }
            _ if self.state == State::Comma && !matches!(token.text, "(" | "{" | "+" | "-") => {
                Err(fault("trailing commas not allowed in function call args".to_owned(), token))
            }
            "(" => self.open(token),
            ")" => self.close(token),
            "{" if self.state != State::Operand && self.state != State::Callee => self.matchers(),
            "[" if self.after_operand() => self.range(),
            "@" if self.after_operand() => self.at(),
            mark => match BinaryOp::named(mark) {
                Some(op) if self.after_operand() => self.binary(op, token),
                Some(BinaryOp::Add | BinaryOp::Sub) if self.state != State::Callee => self.sign(token),
                _ => Err(unexpected(token, "")),
            },
        }
    }

    fn open(&mut self, token: Token<'_>) -> Done {
        if self.after_operand() {
            return Err(unexpected(token, ""));
        }
        if self.open.len() == NESTING_MAX {
            return Err(fault(format!("expression nests too deeply: more than {NESTING_MAX} parentheses"), token));
        }
        self.out.text.push('(');
        let is_call = self.state == State::Callee;
        if is_call && self.peek_is(")") {
            self.next += 1;
            self.out.text.push(')');
            self.state = State::Operand;
        } else {
            self.open.push(is_call);
            self.state = State::Start;
        }
        Ok(())
    }

    fn close(&mut self, token: Token<'_>) -> Done {
        match self.state {
            State::Operand | State::Metric => {}
            _ => return Err(unexpected(token, "")),
        }
        self.open.pop();
        self.out.text.push(')');
        self.state = State::Operand;
        Ok(())
    }

    fn binary(&mut self, op: BinaryOp, token: Token<'_>) -> Done {
        self.operator(token)?;
        self.out.operators.push(Operator::Binary(op));
        self.put(match op {
            // The crate does not know these two. Comparisons bind as they do; `bool` makes them take scalars.
            BinaryOp::TrimUpper => "< bool",
            BinaryOp::TrimLower => "> bool",
            other => other.as_str(),
        });
        Ok(())
    }

    fn sign(&mut self, token: Token<'_>) -> Done {
        self.operator(token)?;
        self.state = State::Sign;
        if self.belongs_to_number() {
            self.put(token.text);
        } else {
            self.out.operators.push(Operator::Sign { minus: token.text == "-" });
            self.put("-");
        }
        Ok(())
    }

    /// Whether only signs and a number follow, and the number is no base of a power, which would bind more tightly.
    fn belongs_to_number(&self) -> bool {
        let mut rest = self.tokens[self.next..].iter().skip_while(|token| token.is("+") || token.is("-"));
        rest.next().is_some_and(|token| matches!(token.kind, Kind::Number | Kind::Duration))
            && !rest.next().is_some_and(|token| token.is("^"))
    }

    /// `{a="b", "c d"=~"e", "metric"}`.
    fn matchers(&mut self) -> Done {
        const IN: &str = " in label matching";
        self.out.text.push('{');
        loop {
            let token = self.take().ok_or_else(|| self.end_fault(IN))?;
            let is_string = token.kind == Kind::String;
            if token.is("}") {
                break;
            }
            if !is_string && token.kind != Kind::Identifier {
                return Err(in_braces(token, " in label matching, expected identifier or \"}\""));
            }
            let matcher = self.matcher(token)?;
            let number = self.out.keep(Literal::Matcher(matcher));
            _ = write!(self.out.text, "x=\"{number}\"");
            let token = self.take().ok_or_else(|| self.end_fault(IN))?;
            match token.text {
                "}" => break,
                "," => self.out.text.push(','),
                _ => return Err(in_braces(token, " in label matching, expected \",\" or \"}\"")),
            }
        }
        self.out.text.push('}');
        self.state = State::Operand;
        Ok(())
    }

    fn matcher(&mut self, name_token: Token<'_>) -> Result<Matcher, ParseError> {
        let is_string = name_token.kind == Kind::String;
        let name = if is_string { self.unquote(name_token)? } else { Arc::from(name_token.text) };
        let op = match self.peek() {
            Some(token) if is_string && (token.is(",") || token.is("}")) => {
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            Some(token) if token.kind == Kind::Mark => match token.text {
                "=" => MatchOp::Equal,
                "!=" => MatchOp::NotEqual,
                "=~" => MatchOp::Regex,
                "!~" => MatchOp::NotRegex,
                _ => return Err(in_braces(token, " in label matching, expected label matching operator")),
            },
            Some(token) => return Err(in_braces(token, " in label matching, expected label matching operator")),
            None => return Err(self.end_fault(" in label matching")),
        };
        self.next += 1;
        let token = self.take().ok_or_else(|| self.end_fault(" in label matching"))?;
        if token.kind != Kind::String {
            return Err(in_braces(token, " in label matching, expected string"));
        }
        let value = self.unquote(token)?;
        Matcher::new(op, name, value).map_err(|error| fault(error.to_string(), token))
    }

    /// `[5m]`, `[1h:]`, `[1h:5m]`.
    fn range(&mut self) -> Done {
        const EXPECTED: &str = " in subquery or range selector, expected number, duration, step(), or range()";
        self.put("[");
        self.range_number(EXPECTED)?;
        match self.take() {
            Some(token) if token.is("]") => {}
            Some(token) if token.is(":") => {
                self.put(":");
                if !self.peek_is("]") {
                    self.range_number(EXPECTED)?;
                }
                match self.take() {
                    Some(token) if token.is("]") => {}
                    Some(token) => return Err(in_range(token, " in subquery or range, expected \"]\"")),
                    None => return Err(self.end_fault("")),
                }
            }
            Some(token) => return Err(in_range(token, " in subquery or range, expected \":\" or \"]\"")),
            None => return Err(self.end_fault("")),
        }
        self.put("]");
        self.state = State::Operand;
        Ok(())
    }

    fn range_number(&mut self, expected: &str) -> Done {
        let mut token = self.take().ok_or_else(|| self.end_fault(expected))?;
        if token.is("+") {
            token = self.take().ok_or_else(|| self.end_fault(expected))?;
        }
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(in_range(token, expected));
        }
        let kept = self.number_literal(token)?;
        if let Literal::Number { value, .. } = kept {
            let millis = literal::seconds_to_millis(value).map_err(|message| fault(message, token))?;
            if millis <= 0 {
                return Err(fault("duration must be greater than 0".to_owned(), token));
            }
        }
        self.put_kept(kept);
        Ok(())
    }
}

fn fault(message: String, token: Token<'_>) -> ParseError {
    ParseError { message, span: token.span() }
}

/// A token in brackets that could belong to a duration expression.
fn in_range(token: Token<'_>, expected: &str) -> ParseError {
    let is_expression = ["+", "-", "*", "/", "%", "^", "("].iter().any(|mark| token.is(mark));
    if is_expression || token.kind == Kind::Identifier {
        return fault("experimental duration expression is not enabled".to_owned(), token);
    }
    unexpected(token, expected)
}

/// In braces, every word is a name.
fn in_braces(token: Token<'_>, context: &str) -> ParseError {
    match token.kind {
        Kind::Identifier => fault(format!("unexpected identifier {}{context}", quote(token.text)), token),
        _ => unexpected(token, context),
    }
}

fn unexpected(token: Token<'_>, context: &str) -> ParseError {
    let word = token.text.to_ascii_lowercase();
    let what = match token.kind {
        Kind::Number => format!("number {}", shortened(token.text)),
        Kind::Duration => format!("duration {}", shortened(token.text)),
        Kind::String => format!("string {}", shortened(token.text)),
        Kind::MetricIdentifier => format!("metric identifier {}", quote(token.text)),
        Kind::Identifier if AggregateOp::named(&word).is_some() => format!("<aggr:{}>", token.text),
        Kind::Identifier if BinaryOp::named(&word).is_some() => format!("<op:{}>", token.text),
        Kind::Identifier if is_keyword(&word) => format!("<{}>", token.text),
        Kind::Identifier if matches!(&*word, "start" | "end" | "step" | "range") => quote(token.text),
        Kind::Identifier => format!("identifier {}", quote(token.text)),
        Kind::Mark if matches!(token.text, "=~" | "!~" | "@") || BinaryOp::named(token.text).is_some() => {
            format!("<op:{}>", token.text)
        }
        Kind::Mark => quote(token.text),
    };
    fault(format!("unexpected {what}{context}"), token)
}

fn is_keyword(word: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "anchored",
        "bool",
        "by",
        "fill",
        "fill_left",
        "fill_right",
        "group_left",
        "group_right",
        "ignoring",
        "offset",
        "on",
        "smoothed",
        "without",
    ];
    KEYWORDS.contains(&word)
}

/// A token's text as error texts show it: its beginning, quoted.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(10) {
        Some((end, _)) => format!("{}...", quote(&text[..end])),
        None => quote(text),
    }
}
