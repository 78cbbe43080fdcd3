//! A parsed template, and how error texts print its parts back.

use std::fmt;

use super::functions::{Function, regex::Pattern};
use super::quote::quote;

/// One `define`d template, or the text itself.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) name: Box<str>,
    pub(super) root: List,
}

pub(super) type List = Vec<Node>;

#[derive(Debug)]
pub(super) enum Node {
    Text(Box<str>),
    /// Printed, unless it declares variables.
    Action(Pipe),
    If(Branches),
    With(Branches),
    Range {
        pipe: Pipe,
        body: List,
        otherwise: Option<List>,
    },
    Call(Call),
    Break,
    Continue,
}

/// A condition with its `else if` or `else with` successors: the first true one is walked.
#[derive(Debug)]
pub(super) struct Branches {
    pub(super) arms: Vec<(Pipe, List)>,
    pub(super) otherwise: Option<List>,
}

/// `{{ template "name" pipe }}`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) at: usize,
    pub(super) name: Box<str>,
    pub(super) pipe: Option<Pipe>,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: usize,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) variables: Vec<Name>,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    /// Never empty.
    pub(super) words: Vec<Expr>,
}

/// A variable's name, and a number that stands for it within one template text.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) id: usize,
    pub(super) text: Box<str>,
}

#[derive(Debug)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) kind: ExprKind,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String {
        quoted: Box<str>,
        text: Box<str>,
    },
    /// `.a.b`
    Field(Vec<Box<str>>),
    /// `$x` or `$x.a.b`
    Variable(Name, Vec<Box<str>>),
    /// `(pipe).a.b`
    Chain(Box<Expr>, Vec<Box<str>>),
    Function(&'static Function),
    Pipe(Box<Pipe>),
}

/// A numeric constant under every type that a parameter may want, as Go's ideal constants are.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) text: Box<str>,
    pub(super) int: Option<i64>,
    pub(super) float: Option<f64>,
    pub(super) complex: Option<(f64, f64)>,
}

/// Everything one text parses to.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The first one is the text itself.
    pub(super) trees: Vec<Tree>,
    /// Patterns that stand literally in the text, compiled.
    pub(super) patterns: Vec<Pattern>,
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.variables.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { ", " } else { "" }, name.text)?;
        }
        if !self.variables.is_empty() {
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if index > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            match &word.kind {
                ExprKind::Pipe(pipe) => write!(f, "{space}({pipe})")?,
                _ => write!(f, "{space}{word}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = match &self.kind {
            ExprKind::Dot => return f.write_str("."),
            ExprKind::Nil => return f.write_str("nil"),
            ExprKind::Bool(truth) => return write!(f, "{truth}"),
            ExprKind::Number(number) => return f.write_str(&number.text),
            ExprKind::String { quoted, .. } => return f.write_str(quoted),
            ExprKind::Function(function) => return f.write_str(function.name),
            ExprKind::Pipe(pipe) => return write!(f, "{pipe}"),
            ExprKind::Field(fields) => fields,
            ExprKind::Variable(name, fields) => {
                f.write_str(&name.text)?;
                fields
            }
            ExprKind::Chain(first, fields) => {
                match &first.kind {
                    ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{first}")?,
                }
                fields
            }
        };
        fields.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}
