//! Tokens to a tree.
//!
//! Error texts are Go's. Their line is that of the token read last, as in Go; the byte offset beside them is that
//! token's too.

use super::ast::{Branches, Call, Command, Expr, ExprKind, List, Name, Node, Parsed, Pipe, Tree};
use super::functions::{self, Role, regex::Pattern};
use super::lexer::{Kind, Token, lex};
use super::limits::NESTING_DEPTH_MAX;
use super::number;
use super::quote::{quote, unquote};
use super::{CONVENIENCE_VARIABLES, PREAMBLE_BYTES, ParseError};

type Parse<T> = Result<T, ParseError>;

/// Parses the text of the template called `name`. Positions in the tree count the preamble.
pub(super) fn parse(name: &str, text: &str) -> Parse<Parsed> {
    let tokens = lex(text);
    let names = CONVENIENCE_VARIABLES.iter().map(|name| (*name).into()).collect();
    let mut parser = Parser {
        name,
        tokens: &tokens,
        next: 0,
        read: 0,
        depth: 0,
        action_line: 0,
        names,
        scope: (0..CONVENIENCE_VARIABLES.len()).collect(),
        range_depth: 0,
        definitions: Vec::new(),
        patterns: Vec::new(),
    };
    let root = parser.text()?;
    // The preamble is never empty, so neither is the text: a definition of the same name stays only if it is empty.
    if parser.definitions.iter().any(|tree| &*tree.name == name && !is_empty(&tree.root)) {
        return Err(parser.multiple_definition(name));
    }
    parser.definitions.retain(|tree| &*tree.name != name);
    let mut trees = vec![Tree { name: name.into(), root }];
    trees.append(&mut parser.definitions);
    Ok(Parsed { trees, patterns: parser.patterns })
}

struct Parser<'p> {
    name: &'p str,
    tokens: &'p [Token<'p>],
    next: usize,
    /// The last token that was read, even if it was put back.
    read: usize,
    depth: usize,
    /// Line of the action that is being read; 0 outside.
    action_line: usize,
    /// Every variable name of the text, by number.
    names: Vec<Box<str>>,
    /// Numbers of the variables that may be named here.
    scope: Vec<usize>,
    range_depth: usize,
    definitions: Vec<Tree>,
    patterns: Vec<Pattern>,
}

/// What ends a list of nodes.
enum End {
    End,
    Else,
}

impl End {
    fn describe(&self) -> &'static str {
        match self {
            End::End => "{{end}}",
            End::Else => "{{else}}",
        }
    }
}

enum Item {
    Node(Node),
    End(End),
}

impl<'p> Parser<'p> {
    /// The next token. The last one, `Eof` or `Error`, comes again and again.
    fn next(&mut self) -> &'p Token<'p> {
        let index = self.next.min(self.tokens.len() - 1);
        self.read = self.read.max(index);
        self.next = index + 1;
        &self.tokens[index]
    }

    fn peek(&mut self) -> &'p Token<'p> {
        let token = self.next();
        self.back();
        token
    }

    fn back(&mut self) {
        self.next -= 1;
    }

    fn next_non_space(&mut self) -> &'p Token<'p> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> &'p Token<'p> {
        let token = self.next_non_space();
        self.back();
        token
    }

    fn fault(&self, message: impl std::fmt::Display) -> ParseError {
        self.fault_at(&self.tokens[self.read], message)
    }

    fn fault_at(&self, token: &Token<'_>, message: impl std::fmt::Display) -> ParseError {
        ParseError { message: format!("template: {}:{}: {message}", self.name, token.line), offset: token.at }
    }

    fn unexpected(&self, token: &Token<'_>, context: &str) -> ParseError {
        if token.kind != Kind::Error {
            return self.fault(format_args!("unexpected {} in {context}", token.describe()));
        }
        let mut started = String::new();
        if self.action_line != 0 && self.action_line != token.line {
            // "unclosed action in action started at" would be one action too many.
            let word = if token.message.ends_with(" action") { "" } else { " in action" };
            started = format!("{word} started at {}:{}", self.name, self.action_line);
        }
        self.fault(format_args!("{}{started}", token.message))
    }

    fn multiple_definition(&self, name: &str) -> ParseError {
        self.fault(format_args!("template: multiple definition of template {}", quote(name)))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parse<&'p Token<'p>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    /// Runs a part of the parser one level deeper.
    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= NESTING_DEPTH_MAX {
            return Err(self.fault(format_args!("nested deeper than {NESTING_DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// The whole text: nodes and definitions.
    fn text(&mut self) -> Parse<List> {
        let mut list = List::new();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Eof => return Ok(list),
                Kind::LeftDelim => {
                    let before = self.next;
                    self.next();
                    if self.next_non_space().kind == Kind::Define {
                        self.definition()?;
                        continue;
                    }
                    self.next = before;
                }
                _ => {}
            }
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::End(end) => return Err(self.fault(format_args!("unexpected {}", end.describe()))),
            }
        }
    }

    fn definition(&mut self) -> Parse<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let (root, end) = self.separate_list()?;
        if let End::Else = end {
            return Err(self.fault(format_args!("unexpected {} in {CONTEXT}", end.describe())));
        }
        self.define(name, root)
    }

    /// The nodes of a template of its own, which sees no variable but `$`.
    fn separate_list(&mut self) -> Parse<(List, End)> {
        let scope = std::mem::replace(&mut self.scope, vec![0]);
        let range_depth = std::mem::take(&mut self.range_depth);
        let action_line = std::mem::take(&mut self.action_line);
        let result = self.list();
        (self.scope, self.range_depth, self.action_line) = (scope, range_depth, action_line);
        result
    }

    fn define(&mut self, name: String, root: List) -> Parse<()> {
        let Some(known) = self.definitions.iter_mut().find(|tree| *tree.name == *name) else {
            self.definitions.push(Tree { name: name.into(), root });
            return Ok(());
        };
        if is_empty(&known.root) {
            known.root = root;
        } else if !is_empty(&root) {
            return Err(self.multiple_definition(&name));
        }
        Ok(())
    }

    fn list(&mut self) -> Parse<(List, End)> {
        self.deeper(|parser| {
            let mut list = List::new();
            while parser.peek_non_space().kind != Kind::Eof {
                match parser.text_or_action()? {
                    Item::Node(node) => list.push(node),
                    Item::End(end) => return Ok((list, end)),
                }
            }
            Err(parser.fault("unexpected EOF"))
        })
    }

    fn text_or_action(&mut self) -> Parse<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text.into()))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let item = self.action();
                if item.is_ok() {
                    self.action_line = 0;
                }
                item
            }
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Parse<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.loop_control("{{break}}", Node::Break)?,
            Kind::Continue => self.loop_control("{{continue}}", Node::Continue)?,
            Kind::Else => return self.else_control(),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::End(End::End));
            }
            Kind::If => Node::If(self.branches(Kind::If, "if")?),
            Kind::With => Node::With(self.branches(Kind::With, "with")?),
            Kind::Range => self.range()?,
            Kind::Template => self.template()?,
            _ => {
                self.back();
                // Variables stay until the next `end`.
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, text: &str, node: Node) -> Parse<Node> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return Err(self.unexpected(token, text));
        }
        if self.range_depth == 0 {
            return Err(self.fault(format_args!("{text} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    fn else_control(&mut self) -> Parse<Item> {
        // `else if` and `else with`: whoever asked for the list goes on with the second word.
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Item::End(End::Else))
    }

    fn branches(&mut self, keyword: Kind, context: &str) -> Parse<Branches> {
        let scope = self.scope.len();
        let mut branches = Branches { arms: Vec::new(), otherwise: None };
        loop {
            let pipe = self.pipeline(context, Kind::RightDelim)?;
            let (list, end) = self.list()?;
            branches.arms.push((pipe, list));
            match end {
                End::End => break,
                End::Else if self.peek().kind == keyword => {
                    self.next();
                }
                End::Else => {
                    branches.otherwise = Some(self.else_list()?);
                    break;
                }
            }
        }
        self.scope.truncate(scope);
        Ok(branches)
    }

    fn else_list(&mut self) -> Parse<List> {
        match self.list()? {
            (list, End::End) => Ok(list),
            (_, end) => Err(self.fault(format_args!("expected end; found {}", end.describe()))),
        }
    }

    fn range(&mut self) -> Parse<Node> {
        let scope = self.scope.len();
        let pipe = self.pipeline("range", Kind::RightDelim)?;
        self.range_depth += 1;
        let (body, end) = self.list()?;
        self.range_depth -= 1;
        let otherwise = match end {
            End::End => None,
            End::Else => Some(self.else_list()?),
        };
        self.scope.truncate(scope);
        Ok(Node::Range { pipe, body, otherwise })
    }

    fn block(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let last = self.read;
        let (root, end) = self.separate_list()?;
        if let End::Else = end {
            let message = format_args!("unexpected {} in {CONTEXT}", end.describe());
            return Err(self.fault_at(&self.tokens[last], message));
        }
        self.define(name.clone(), root)?;
        Ok(Node::Call(Call { at: PREAMBLE_BYTES + token.at, name: name.into(), pipe: Some(pipe) }))
    }

    fn template(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = match self.next_non_space().kind {
            Kind::RightDelim => None,
            _ => {
                self.back();
                Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
            }
        };
        Ok(Node::Call(Call { at: PREAMBLE_BYTES + token.at, name: name.into(), pipe }))
    }

    fn template_name(&mut self, token: &Token<'_>, context: &str) -> Parse<String> {
        match token.kind {
            Kind::String | Kind::RawString => unquote(token.text).map_err(|error| self.fault(error)),
            _ => Err(self.unexpected(token, context)),
        }
    }

    /// `declarations? command ("|" command)*`, up to and including `end`.
    fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipe> {
        self.deeper(|parser| {
            let at = PREAMBLE_BYTES + parser.peek_non_space().at;
            let mut pipe = Pipe { at, assigns: false, variables: Vec::new(), commands: Vec::new() };
            parser.declarations(&mut pipe, context)?;
            loop {
                let token = parser.next_non_space();
                match token.kind {
                    kind if kind == end => {
                        parser.check_pipeline(&pipe, context)?;
                        return Ok(pipe);
                    }
                    Kind::Bool
                    | Kind::CharConstant
                    | Kind::Complex
                    | Kind::Dot
                    | Kind::Field
                    | Kind::Identifier
                    | Kind::Number
                    | Kind::Nil
                    | Kind::RawString
                    | Kind::String
                    | Kind::Variable
                    | Kind::LeftParen => {
                        parser.back();
                        let command = parser.command()?;
                        pipe.commands.push(command);
                    }
                    _ => return Err(parser.unexpected(token, context)),
                }
            }
        })
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parse<()> {
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let before = self.next;
            self.next_non_space();
            let after = self.peek_non_space();
            let comma = after.kind == Kind::Char && after.text == ",";
            if !comma && !matches!(after.kind, Kind::Assign | Kind::Declare) {
                self.next = before;
                return Ok(());
            }
            self.next_non_space();
            let id = self.intern(variable.text);
            self.scope.push(id);
            pipe.variables.push(Name { id, text: variable.text.into() });
            if !comma {
                pipe.assigns = after.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.variables.len() >= 2 {
                return Err(self.fault(format_args!("too many declarations in {context}")));
            }
            if !matches!(self.peek_non_space().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                return Err(self.fault("range can only initialize variables"));
            }
        }
    }

    fn intern(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        })
    }

    fn check_pipeline(&mut self, pipe: &Pipe, context: &str) -> Parse<()> {
        if pipe.commands.is_empty() {
            return Err(self.fault(format_args!("missing value for {context}")));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            use ExprKind::{Bool, Dot, Nil, Number, String};
            if let Bool(_) | Dot | Nil | Number(_) | String { .. } = command.words[0].kind {
                return Err(self.fault(format_args!("non executable command in pipeline stage {}", index + 1)));
            }
        }
        Ok(())
    }

    /// `operand (space operand)*`, with the pipe symbol behind it but without the closing delimiter.
    fn command(&mut self) -> Parse<Command> {
        let mut command = Command { at: PREAMBLE_BYTES + self.peek_non_space().at, words: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.words.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.back();
                    break;
                }
                Kind::Pipe => break,
                _ => return Err(self.unexpected(token, "operand")),
            }
        }
        if command.words.is_empty() {
            return Err(self.fault("empty command"));
        }
        self.compile_pattern(&command);
        Ok(command)
    }

    /// Compiles a pattern that stands literally in a call, so that expansion need not.
    fn compile_pattern(&mut self, command: &Command) {
        if let [Expr { kind: ExprKind::Function(function), .. }, Expr { kind: ExprKind::String { text, .. }, .. }, ..] =
            &command.words[..]
            && function.role == Role::Pattern
            && !self.patterns.iter().any(|known| *known.text == **text)
        {
            self.patterns.push(Pattern::new(text));
        }
    }

    fn operand(&mut self) -> Parse<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let first = self.peek();
        if first.kind != Kind::Field {
            return Ok(Some(term));
        }
        let mut more = Vec::new();
        while self.peek().kind == Kind::Field {
            more.push(self.next().text[1..].into());
        }
        let kind = match term.kind {
            ExprKind::Field(mut fields) => {
                fields.append(&mut more);
                ExprKind::Field(fields)
            }
            ExprKind::Variable(name, mut fields) => {
                fields.append(&mut more);
                ExprKind::Variable(name, fields)
            }
            ExprKind::Bool(_) | ExprKind::String { .. } | ExprKind::Number(_) | ExprKind::Nil | ExprKind::Dot => {
                return Err(self.fault(format_args!("unexpected . after term {}", quote(&term.to_string()))));
            }
            _ => ExprKind::Chain(Box::new(term), more),
        };
        Ok(Some(Expr { at: PREAMBLE_BYTES + first.at, kind }))
    }

    fn term(&mut self) -> Parse<Option<Expr>> {
        let token = self.next_non_space();
        let kind = match token.kind {
            Kind::Identifier => match functions::find(token.text) {
                Some(function) => ExprKind::Function(function),
                None => return Err(self.fault(format_args!("function {} not defined", quote(token.text)))),
            },
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::Variable => {
                let id = self.intern(token.text);
                if !self.scope.contains(&id) {
                    return Err(self.fault(format_args!("undefined variable {}", quote(token.text))));
                }
                ExprKind::Variable(Name { id, text: token.text.into() }, Vec::new())
            }
            Kind::Field => ExprKind::Field(vec![token.text[1..].into()]),
            Kind::CharConstant => ExprKind::Number(number::char_constant(token.text).map_err(|e| self.fault(e))?),
            Kind::Complex => ExprKind::Number(number::complex_constant(token.text).map_err(|e| self.fault(e))?),
            Kind::Number => ExprKind::Number(number::constant(token.text).map_err(|e| self.fault(e))?),
            Kind::LeftParen => ExprKind::Pipe(Box::new(self.pipeline("parenthesized pipeline", Kind::RightParen)?)),
            Kind::String | Kind::RawString => {
                let text = unquote(token.text).map_err(|error| self.fault(error))?;
                ExprKind::String { quoted: token.text.into(), text: text.into() }
            }
            _ => {
                self.back();
                return Ok(None);
            }
        };
        // A pipeline stands where its first word stands, not at its parenthesis.
        let at = match &kind {
            ExprKind::Pipe(pipe) => pipe.at,
            _ => PREAMBLE_BYTES + token.at,
        };
        Ok(Some(Expr { at, kind }))
    }
}

/// Whether a template holds nothing but space.
fn is_empty(list: &List) -> bool {
    list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
