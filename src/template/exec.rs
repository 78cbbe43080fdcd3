//! A walk over a parsed template that writes its text.
//!
//! Error texts name the node that was visited last, as Go's do; hence `at`, which every step sets.

use std::fmt;

use smallvec::SmallVec;

use super::ast::{Branches, Call, Command, Expr, ExprKind, Node, Number, Parsed, Pipe};
use super::functions::{Env, Fault, Function, Method, Outcome, Param, Role, Signature, find_method};
use super::limits::{ITERATIONS_MAX, OUTPUT_BYTES_MAX, RUN_DEPTH_MAX};
use super::quote::quote;
use super::value::{Held, IntType, Str, Value};
use super::{CONVENIENCE_VARIABLES, Context, Expansion, PREAMBLE_BYTES, Queries};
use super::{format, format::Sink};

/// Room for what actions print, so that the text need not grow.
const EXPANDED_BYTES: usize = 64;

/// A template text with everything that running it needs.
#[derive(Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) parsed: &'a Parsed,
}

pub(super) fn run<'a>(program: Program<'a>, context: &'a Context<'a>, queries: &'a dyn Queries) -> Expansion {
    let root = Value::Root(context);
    let mut run = Run {
        program,
        env: Env { context, queries, patterns: &program.parsed.patterns, work: 0 },
        out: String::with_capacity(program.text.len() + EXPANDED_BYTES),
        variables: convenience_variables(&root, context),
        tree: 0,
        at: At::Nothing,
        depth: 0,
        iterations: 0,
    };
    match run.list(&root, &program.parsed.trees[0].root) {
        Ok(_) => Expansion::Done(run.out),
        Err(Fault::Error(message)) => Expansion::Failed(message),
        Err(Fault::Needs(expr)) => Expansion::Needs(expr),
    }
}

type Variables<'a> = SmallVec<[(usize, Value<'a>); 8]>;

fn convenience_variables<'a>(root: &Value<'a>, context: &'a Context<'a>) -> Variables<'a> {
    let values = [
        root.clone(),
        Value::Labels(context.labels),
        Value::Labels(context.external_labels),
        Value::Str(Str::Borrowed(context.external_url)),
        Value::from_model(context.value),
    ];
    values.into_iter().enumerate().collect()
}

/// The node that was visited last.
#[derive(Clone, Copy)]
enum At<'a> {
    Nothing,
    Pipe(&'a Pipe),
    Command(&'a Command),
    Expr(&'a Expr),
    Call(&'a Call),
}

/// How a list of nodes was left.
enum Flow {
    Next,
    Break,
    Continue,
}

type Run_<T> = Result<T, Fault>;

struct Run<'a> {
    program: Program<'a>,
    env: Env<'a>,
    out: String,
    variables: Variables<'a>,
    /// The template that is running, by index.
    tree: usize,
    at: At<'a>,
    depth: usize,
    iterations: usize,
}

impl<'a> Run<'a> {
    /// An error at the current node.
    fn fault(&self, reason: impl fmt::Display) -> Fault {
        let (at, node) = match self.at {
            At::Nothing => (PREAMBLE_BYTES, String::new()),
            At::Pipe(pipe) => (pipe.at, pipe.to_string()),
            At::Command(command) => (command.at, command.to_string()),
            At::Expr(expr) => (expr.at, expr.to_string()),
            At::Call(call) => (call.at, call.to_string()),
        };
        let Program { name, text, parsed } = self.program;
        let before = &text[..at - PREAMBLE_BYTES];
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rfind('\n').map_or(at, |newline| before.len() - newline - 1);
        let tree = quote(&parsed.trees[self.tree].name);
        Fault::Error(format!("template: {name}:{line}:{column}: executing {tree} at <{node}>: {reason}"))
    }

    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Run_<T>) -> Run_<T> {
        if self.depth >= RUN_DEPTH_MAX {
            return Err(self.fault(format_args!("exceeded maximum template depth ({RUN_DEPTH_MAX})")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    fn check_output(&self) -> Run_<()> {
        if self.out.len() > OUTPUT_BYTES_MAX {
            return Err(self.fault(format_args!("text is longer than {OUTPUT_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    fn list(&mut self, dot: &Value<'a>, list: &'a [Node]) -> Run_<Flow> {
        for node in list {
            match self.node(dot, node)? {
                Flow::Next => {}
                left => return Ok(left),
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, dot: &Value<'a>, node: &'a Node) -> Run_<Flow> {
        match node {
            Node::Text(text) => {
                self.out.push_str(text);
                self.check_output()?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    format::push_value(&mut Sink { out: &mut self.out, limit: OUTPUT_BYTES_MAX }, &value);
                    self.check_output()?;
                }
            }
            Node::If(branches) => return self.branches(dot, branches, false),
            Node::With(branches) => return self.branches(dot, branches, true),
            Node::Range { pipe, body, otherwise } => {
                let mark = self.variables.len();
                let flow = self.deeper(|run| run.range(dot, pipe, body, otherwise.as_deref()));
                self.variables.truncate(mark);
                return flow;
            }
            Node::Call(call) => self.deeper(|run| run.call_template(dot, call))?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn branches(&mut self, dot: &Value<'a>, branches: &'a Branches, sets_dot: bool) -> Run_<Flow> {
        let mark = self.variables.len();
        let flow = self.deeper(|run| {
            for (pipe, list) in &branches.arms {
                let value = run.pipe(dot, pipe)?;
                if value.is_true() {
                    return run.list(if sets_dot { &value } else { dot }, list);
                }
            }
            run.list(dot, branches.otherwise.as_deref().unwrap_or_default())
        });
        self.variables.truncate(mark);
        flow
    }

    fn range(
        &mut self,
        dot: &Value<'a>,
        pipe: &'a Pipe,
        body: &'a [Node],
        otherwise: Option<&'a [Node]>,
    ) -> Run_<Flow> {
        let value = self.pipe(dot, pipe)?;
        let mut turns = Turns { pipe, body, mark: self.variables.len(), any: false };
        let left = match &value {
            Value::Nil | Value::NilInterface => None,
            Value::Results(results) => self.turns(
                &mut turns,
                (0..results.len()).map_while(|index| Some((Value::int(index), Value::Sample(results.get(index)?)))),
            )?,
            Value::Labels(labels) => {
                let text = |text| Value::Str(Str::Borrowed(text));
                self.turns(&mut turns, labels.iter().map(|(name, value)| (text(name), text(value))))?
            }
            Value::Args(args) => {
                let entries = args.entries.iter();
                let key = |name: &str| Value::Str(Str::Owned(name.into()));
                self.turns(&mut turns, entries.map(|(name, value)| (key(name), value.clone())))?
            }
            Value::Int(count, kind) => {
                self.one_variable(pipe, &value)?;
                self.turns(&mut turns, (0..*count).map(|number| (Value::Nil, Value::Int(number, *kind))))?
            }
            Value::Duration(count, _) => {
                self.one_variable(pipe, &value)?;
                let number = |number| (Value::Nil, Value::Duration(number, Held::Directly));
                self.turns(&mut turns, (0..*count).map(number))?
            }
            other => {
                let mut shown = String::new();
                format::push_value(&mut Sink { out: &mut shown, limit: OUTPUT_BYTES_MAX }, other);
                return Err(self.fault(format_args!("range can't iterate over {shown}")));
            }
        };
        match (left, otherwise) {
            (Some(flow), _) => Ok(flow),
            (None, Some(list)) if !turns.any => self.list(dot, list),
            (None, _) => Ok(Flow::Next),
        }
    }

    fn one_variable(&self, pipe: &Pipe, value: &Value<'a>) -> Run_<()> {
        if pipe.variables.len() < 2 {
            return Ok(());
        }
        let mut shown = String::new();
        format::push_value(&mut Sink { out: &mut shown, limit: OUTPUT_BYTES_MAX }, value);
        Err(self.fault(format_args!("can't use {shown} to iterate over more than one variable")))
    }

    /// Walks the body for every index and element. `Some`: a `break` ended it.
    fn turns(
        &mut self,
        turns: &mut Turns<'a>,
        elements: impl Iterator<Item = (Value<'a>, Value<'a>)>,
    ) -> Run_<Option<Flow>> {
        let pipe = turns.pipe;
        for (index, element) in elements {
            turns.any = true;
            self.iterations += 1;
            if self.iterations > ITERATIONS_MAX {
                return Err(self.fault(format_args!("more than {ITERATIONS_MAX} iterations")));
            }
            let dot = element.clone();
            match &pipe.variables[..] {
                [] => {}
                [one] if pipe.assigns => self.assign(one.id, &one.text, element)?,
                [first, second, ..] if pipe.assigns => {
                    self.assign(first.id, &first.text, index)?;
                    self.assign(second.id, &second.text, element)?;
                }
                [_] => self.variables[turns.mark - 1].1 = element,
                [_, _, ..] => {
                    self.variables[turns.mark - 1].1 = element;
                    self.variables[turns.mark - 2].1 = index;
                }
            }
            let flow = self.list(&dot, turns.body)?;
            self.variables.truncate(turns.mark);
            if let Flow::Break = flow {
                return Ok(Some(Flow::Next));
            }
        }
        Ok(None)
    }

    fn call_template(&mut self, dot: &Value<'a>, call: &'a Call) -> Run_<()> {
        self.at = At::Call(call);
        let trees = &self.program.parsed.trees;
        let Some(tree) = trees.iter().position(|tree| tree.name == call.name) else {
            return Err(self.fault(format_args!("template {} not defined", quote(&call.name))));
        };
        let dot = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nil,
        };
        let variables = match (tree, &dot) {
            (0, Value::Root(context)) => convenience_variables(&dot, context),
            (0, _) => return Err(self.fault("the text itself can only be given the root")),
            _ => SmallVec::from_iter([(0, dot.clone())]),
        };
        // A called template sees none of its caller's variables.
        let variables = std::mem::replace(&mut self.variables, variables);
        let caller = std::mem::replace(&mut self.tree, tree);
        self.list(&dot, &trees[tree].root)?;
        self.variables = variables;
        self.tree = caller;
        Ok(())
    }

    fn assign(&mut self, id: usize, name: &str, value: Value<'a>) -> Run_<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == id) {
            Some((_, slot)) => *slot = value,
            None => return Err(self.fault(format_args!("undefined variable: {name}"))),
        }
        Ok(())
    }

    fn pipe(&mut self, dot: &Value<'a>, pipe: &'a Pipe) -> Outcome<'a> {
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            value = Some(match self.command(dot, command, value)? {
                // What an interface holds comes out of it.
                Value::NilInterface => Value::Nil,
                value => value,
            });
        }
        let value = value.unwrap_or(Value::Nil);
        for variable in &pipe.variables {
            if pipe.assigns {
                self.assign(variable.id, &variable.text, value.clone())?;
            } else {
                self.variables.push((variable.id, value.clone()));
            }
        }
        Ok(value)
    }

    /// `last` is the value of the command before this one, which becomes the last argument.
    fn command(&mut self, dot: &Value<'a>, command: &'a Command, last: Option<Value<'a>>) -> Outcome<'a> {
        let (first, rest) = command.words.split_first().expect("a command has at least one word");
        match &first.kind {
            ExprKind::Function(function) => self.function(dot, first, function, At::Command(command), rest, last),
            ExprKind::Field(fields) => {
                self.at = At::Expr(first);
                self.fields(dot, dot.clone(), first, fields, rest, last)
            }
            ExprKind::Variable(name, fields) if !fields.is_empty() => {
                self.at = At::Expr(first);
                let value = self.variable(name.id, &name.text)?;
                self.fields(dot, value, first, fields, rest, last)
            }
            ExprKind::Chain(inner, fields) => {
                let value = self.chain_start(dot, first, inner)?;
                self.fields(dot, value, first, fields, rest, last)
            }
            kind => {
                if !matches!(kind, ExprKind::Pipe(_)) {
                    self.at = At::Expr(first);
                }
                if !rest.is_empty() || last.is_some() {
                    return Err(self.fault(format_args!("can't give argument to non-function {first}")));
                }
                self.plain(dot, first)
            }
        }
    }

    /// A word that takes no arguments.
    fn plain(&mut self, dot: &Value<'a>, word: &'a Expr) -> Outcome<'a> {
        match &word.kind {
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Nil => Err(self.fault("nil is not a command")),
            ExprKind::Bool(truth) => Ok(Value::Bool(*truth)),
            ExprKind::Number(number) => self.number(number),
            ExprKind::String { text, .. } => Ok(Value::Str(Str::Borrowed(text))),
            ExprKind::Variable(name, _) => self.variable(name.id, &name.text),
            ExprKind::Pipe(pipe) => self.deeper(|run| run.pipe(dot, pipe)),
            _ => Err(self.fault(format_args!("can't evaluate command {}", quote(&word.to_string())))),
        }
    }

    /// A constant whose type nothing but its form decides.
    fn number(&self, number: &Number) -> Outcome<'a> {
        let text = &*number.text;
        if let Some((real, imaginary)) = number.complex {
            return Ok(Value::Complex(real, imaginary));
        }
        let hex = matches!(text.get(..2), Some("0x" | "0X")) && !text.contains(['p', 'P']);
        let float = !hex && !text.starts_with('\'') && text.contains(['.', 'e', 'E', 'p', 'P']);
        match (number.float, number.int) {
            (Some(value), _) if float => Ok(Value::Float(value)),
            (_, Some(value)) => Ok(Value::Int(value, IntType::Int)),
            _ => Err(self.fault(format_args!("{text} overflows int"))),
        }
    }

    fn variable(&self, id: usize, name: &str) -> Outcome<'a> {
        match self.variables.iter().rev().find(|(known, _)| *known == id) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(self.fault(format_args!("undefined variable: {name}"))),
        }
    }

    fn chain_start(&mut self, dot: &Value<'a>, chain: &'a Expr, inner: &'a Expr) -> Outcome<'a> {
        self.at = At::Expr(chain);
        self.argument(dot, None, inner)
    }

    /// `.a.b.c` from a value on; the last one gets the arguments, in case it is a method.
    fn fields(
        &mut self,
        dot: &Value<'a>,
        mut value: Value<'a>,
        node: &'a Expr,
        names: &'a [Box<str>],
        args: &'a [Expr],
        last: Option<Value<'a>>,
    ) -> Outcome<'a> {
        let (final_name, names) = names.split_last().expect("a chain has at least one field");
        let mut in_interface = false;
        for name in names {
            (value, in_interface) = self.field(dot, value, in_interface, node, name, &[], None)?;
        }
        Ok(self.field(dot, value, in_interface, node, final_name, args, last)?.0)
    }

    /// A method's result, a struct's field or a map's entry; and whether Go finds it in an `interface {}`.
    #[expect(clippy::too_many_arguments, reason = "the parts of `value.name args`, needed together in one place only")]
    fn field(
        &mut self,
        dot: &Value<'a>,
        value: Value<'a>,
        in_interface: bool,
        node: &'a Expr,
        name: &'a str,
        args: &'a [Expr],
        last: Option<Value<'a>>,
    ) -> Run_<(Value<'a>, bool)> {
        match value {
            Value::Nil => return Ok((Value::Nil, false)),
            Value::NilInterface => {
                return Err(self.fault(format_args!("nil pointer evaluating interface {{}}.{name}")));
            }
            _ => {}
        }
        if let Some(method) = find_method(&value, name) {
            return Ok((self.method(dot, value, method, node, args, last)?, false));
        }
        let has_args = !args.is_empty() || last.is_some();
        let type_name = if in_interface { "interface {}" } else { value.type_name() };
        if let Some(found) = struct_field(&value, name) {
            if has_args {
                return Err(self.fault(format_args!("{name} has arguments but cannot be invoked as function")));
            }
            return Ok((found, name == "Value"));
        }
        let entry = match &value {
            Value::Labels(labels) => Some((Value::Str(Str::Borrowed(labels.value(name))), false)),
            Value::Args(args) => {
                let found = args.entries.iter().find(|(known, _)| known == name);
                Some((found.map_or(Value::NilInterface, |(_, value)| value.clone()), true))
            }
            Value::NilSample if matches!(name, "Labels" | "Value") => {
                return Err(self.fault(format_args!("nil pointer evaluating {type_name}.{name}")));
            }
            _ => None,
        };
        match entry {
            Some(_) if has_args => Err(self.fault(format_args!("{name} is not a method but has arguments"))),
            Some(entry) => Ok(entry),
            None => Err(self.fault(format_args!("can't evaluate field {name} in type {type_name}"))),
        }
    }

    fn function(
        &mut self,
        dot: &Value<'a>,
        word: &'a Expr,
        function: &'static Function,
        node: At<'a>,
        args: &'a [Expr],
        last: Option<Value<'a>>,
    ) -> Outcome<'a> {
        self.at = At::Expr(word);
        let name = function.name;
        let (fixed, count) = (function.params.len(), args.len() + usize::from(last.is_some()));
        match function.rest {
            Some(_) if count < fixed => {
                let got = args.len();
                return Err(
                    self.fault(format_args!("wrong number of args for {name}: want at least {fixed} got {got}"))
                );
            }
            None if count != fixed => {
                return Err(self.fault(format_args!("wrong number of args for {name}: want {fixed} got {count}")));
            }
            _ => {}
        }
        if let Role::And | Role::Or = function.role {
            return self.short_circuit(dot, function.role == Role::Or, args, last);
        }
        let param = |index: usize| function.params.get(index).copied().or(function.rest);
        let mut values: SmallVec<[Value<'a>; 4]> = SmallVec::new();
        for (index, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, param(index), arg)?);
        }
        if let Some(last) = last {
            values.push(self.assignable(last, param(args.len()))?);
        }
        let result = match function.role {
            Role::Call => Err(not_a_function(args, &values)),
            _ => (function.call)(&mut self.env, &values),
        };
        self.called(result, name, node)
    }

    fn called(&mut self, result: Outcome<'a>, name: &str, node: At<'a>) -> Outcome<'a> {
        match result {
            Err(Fault::Error(reason)) => {
                self.at = node;
                Err(self.fault(format_args!("error calling {name}: {reason}")))
            }
            result => result,
        }
    }

    /// `and` and `or`: the first value that decides, or the last one.
    fn short_circuit(
        &mut self,
        dot: &Value<'a>,
        decisive: bool,
        args: &'a [Expr],
        last: Option<Value<'a>>,
    ) -> Outcome<'a> {
        let mut value = Value::Nil;
        for arg in args {
            value = self.argument(dot, Some(Param::Reflect), arg)?;
            if value.is_true() == decisive {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn method(
        &mut self,
        dot: &Value<'a>,
        receiver: Value<'a>,
        method: &'static Method,
        node: &'a Expr,
        args: &'a [Expr],
        last: Option<Value<'a>>,
    ) -> Outcome<'a> {
        let (name, want) = (method.name, method.params.len());
        let got = args.len() + usize::from(last.is_some());
        if got != want {
            return Err(self.fault(format_args!("wrong number of args for {name}: want {want} got {got}")));
        }
        let body = match method.call {
            Ok(body) => body,
            Err(Signature::Two(second)) => {
                return Err(self.fault(format_args!(
                    "invalid function signature for {name}: second return value should be error; is {second}"
                )));
            }
            Err(Signature::Three) => {
                return Err(self.fault(format_args!("function {name} has 3 return values; should be 1 or 2")));
            }
        };
        let mut values: SmallVec<[Value<'a>; 4]> = SmallVec::from_iter([receiver]);
        for (index, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, Some(method.params[index]), arg)?);
        }
        if let Some(last) = last {
            values.push(self.assignable(last, Some(method.params[args.len()]))?);
        }
        let result = body(&mut self.env, &values);
        self.called(result, name, At::Expr(node))
    }

    /// The value of an argument for a parameter; `None` where anything goes because a field of it is asked for.
    fn argument(&mut self, dot: &Value<'a>, param: Option<Param>, arg: &'a Expr) -> Outcome<'a> {
        self.at = At::Expr(arg);
        let value = match &arg.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Nil => return self.nil(param, arg),
            ExprKind::Field(fields) => self.fields(dot, dot.clone(), arg, fields, &[], None)?,
            ExprKind::Variable(name, fields) => {
                let value = self.variable(name.id, &name.text)?;
                if fields.is_empty() { value } else { self.fields(dot, value, arg, fields, &[], None)? }
            }
            ExprKind::Pipe(pipe) => self.deeper(|run| run.pipe(dot, pipe))?,
            ExprKind::Function(function) => self.function(dot, arg, function, At::Expr(arg), &[], None)?,
            ExprKind::Chain(inner, fields) => {
                let value = self.chain_start(dot, arg, inner)?;
                self.fields(dot, value, arg, fields, &[], None)?
            }
            ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String { .. } => {
                return self.literal(dot, param, arg);
            }
        };
        self.assignable(value, param)
    }

    fn nil(&self, param: Option<Param>, arg: &Expr) -> Outcome<'a> {
        match param {
            Some(Param::Any | Param::Reflect) => Ok(Value::Nil),
            Some(Param::Sample) => Ok(Value::NilSample),
            Some(Param::Results) => Ok(Value::Results(super::value::Results::new(&[]))),
            Some(param) => Err(self.fault(format_args!("cannot assign nil to {}", param.type_name()))),
            None => Err(self.fault(format_args!("indirection through explicit nil in {arg}"))),
        }
    }

    fn literal(&mut self, dot: &Value<'a>, param: Option<Param>, arg: &'a Expr) -> Outcome<'a> {
        match (param, &arg.kind) {
            (None | Some(Param::Any | Param::Reflect), _) => self.plain(dot, arg),
            (Some(Param::String), ExprKind::String { text, .. }) => Ok(Value::Str(Str::Borrowed(text))),
            (Some(Param::String), _) => Err(self.fault(format_args!("expected string; found {arg}"))),
            (Some(Param::Int), ExprKind::Number(Number { int: Some(int), .. })) => Ok(Value::Int(*int, IntType::Int)),
            (Some(Param::Duration), ExprKind::Number(Number { int: Some(int), .. })) => {
                Ok(Value::Duration(*int, Held::Directly))
            }
            (Some(Param::Int | Param::Duration), _) => Err(self.fault(format_args!("expected integer; found {arg}"))),
            (Some(param), _) => {
                Err(self.fault(format_args!("can't handle {arg} for arg of type {}", param.type_name())))
            }
        }
    }

    /// The value as a parameter takes it: as it is, or what it points to.
    fn assignable(&self, value: Value<'a>, param: Option<Param>) -> Outcome<'a> {
        match (param, value) {
            (None | Some(Param::Any | Param::Reflect), value) => Ok(value),
            (Some(Param::Sample), Value::Nil) => Ok(Value::NilSample),
            (Some(Param::Results), Value::Nil) => Ok(Value::Results(super::value::Results::new(&[]))),
            (Some(Param::Location), Value::Nil) => Ok(Value::Location),
            (Some(param), Value::Nil) => Err(self.fault(format_args!("invalid value; expected {}", param.type_name()))),
            (Some(Param::String), value @ Value::Str(_))
            | (Some(Param::Results), value @ Value::Results(_))
            | (Some(Param::Sample), value @ (Value::Sample(_) | Value::NilSample))
            | (Some(Param::Int), value @ Value::Int(_, IntType::Int))
            | (Some(Param::Location), value @ Value::Location) => Ok(value),
            (Some(Param::Time), Value::Time(time, _)) => Ok(Value::Time(time, Held::Directly)),
            (Some(Param::Duration), Value::Duration(nanos, _)) => Ok(Value::Duration(nanos, Held::Directly)),
            (Some(param), value) => {
                let (want, got) = (param.type_name(), value.type_name());
                Err(self.fault(format_args!("wrong type for value; expected {want}; got {got}")))
            }
        }
    }
}

/// What the turns of one `range` have in common.
struct Turns<'a> {
    pipe: &'a Pipe,
    body: &'a [Node],
    /// Height of the variables' stack at the start of each turn.
    mark: usize,
    /// Whether there was one.
    any: bool,
}

fn struct_field<'a>(value: &Value<'a>, name: &str) -> Option<Value<'a>> {
    Some(match (value, name) {
        (Value::Root(context), "Labels") => Value::Labels(context.labels),
        (Value::Root(context), "ExternalLabels") => Value::Labels(context.external_labels),
        (Value::Root(context), "ExternalURL") => Value::Str(Str::Borrowed(context.external_url)),
        (Value::Root(context), "Value") => Value::from_model(context.value),
        (Value::Sample(sample), "Labels") => Value::Labels(&sample.labels),
        (Value::Sample(sample), "Value") => Value::from_model(&sample.value),
        (Value::Histogram(histogram), "Count") => Value::Float(histogram.count),
        (Value::Histogram(histogram), "Sum") => Value::Float(histogram.sum),
        _ => return None,
    })
}

/// The error of `call`: no value of a template is a function.
fn not_a_function(args: &[Expr], values: &[Value<'_>]) -> Fault {
    match values.first() {
        None | Some(Value::Nil | Value::NilInterface) => "call of nil".into(),
        Some(value) => {
            let callee = args.first().map_or_else(|| format!("<{} Value>", value.type_name()), ToString::to_string);
            format!("non-function {callee} of type {}", value.type_name()).into()
        }
    }
}

const _: () = assert!(CONVENIENCE_VARIABLES.len() == 5);
