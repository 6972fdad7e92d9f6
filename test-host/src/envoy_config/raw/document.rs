//! YAML or JSON text → a tree that knows where everything stood.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};
use serde_json::Number;

use super::{super::Position, scalar::resolve_plain};

/// Deeper nesting is refused, as protobuf refuses it.
const MAX_DEPTH: usize = 100;
/// More nodes than this, aliases expanded, are refused: a few hundred bytes each bounds the memory a file can take.
const MAX_NODES: usize = 2_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Syntax {
    Yaml,
    Json,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Node {
    pub(in super::super) at: Position,
    pub(in super::super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order written; keys are unique.
    Map(Vec<(String, Node)>),
}

/// Why a text is no tree.
#[derive(Debug)]
pub(in super::super) struct SyntaxError {
    pub(in super::super) at: Position,
    pub(in super::super) found: String,
    pub(in super::super) expected: String,
}

/// The one document of a text.
pub(in super::super) fn parse(text: &str, syntax: Syntax) -> Result<Node, SyntaxError> {
    let mut composer = Composer::new(syntax);
    for event in Parser::new_from_str_with_options(text, options()) {
        let (event, span) = event.map_err(|error| SyntaxError {
            at: Position { line: error.marker().line(), column: error.marker().col() + 1 },
            found: error.info(),
            expected: match syntax {
                Syntax::Yaml => "YAML".to_owned(),
                Syntax::Json => "JSON".to_owned(),
            },
        })?;
        composer.take(event, &span)?;
    }
    let start = Position { line: 1, column: 1 };
    composer.root.ok_or_else(|| SyntaxError {
        at: start,
        found: "an empty file".to_owned(),
        expected: "an Envoy bootstrap configuration".to_owned(),
    })
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_comments = false;
    options
}

/// A collection whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// In a map: the key that waits for its value, and all keys so far.
    key: Option<String>,
    keys: HashSet<String>,
}

struct Composer {
    syntax: Syntax,
    open: Vec<Open>,
    root: Option<Node>,
    /// With the number of nodes in each.
    anchors: HashMap<usize, Rc<(Node, usize)>>,
    nodes: usize,
    /// `nodes` as it stood when each open collection started.
    started: Vec<usize>,
}

impl Composer {
    fn new(syntax: Syntax) -> Self {
        Self { syntax, open: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0, started: Vec::new() }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), SyntaxError> {
        let at = Position { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.count(1, at)?;
                if self.waits_for_key() {
                    return self.key(text.into_owned(), at);
                }
                let value =
                    match style {
                        ScalarStyle::Plain => resolve_plain(&text, self.syntax).map_err(|found| {
                            SyntaxError { at, found, expected: "a JSON value".to_owned() }
                        })?,
                        _ => Value::Text(text.into_owned()),
                    };
                self.finish(Node { at, value }, anchor, 1);
                Ok(())
            }
            Event::SequenceStart(_, anchor, _) => self.start(Value::List(Vec::new()), anchor, at),
            Event::MappingStart(_, anchor, _) => self.start(Value::Map(Vec::new()), anchor, at),
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(..) if self.root.is_some() => Err(SyntaxError {
                at,
                found: "a second document".to_owned(),
                expected: "one document in a file (Envoy would use the first and ignore this one)".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn waits_for_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.key.is_none() && matches!(open.node.value, Value::Map(_)))
    }

    fn key(&mut self, key: String, at: Position) -> Result<(), SyntaxError> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        if key == "<<" {
            return Err(SyntaxError {
                at,
                found: "a YAML merge key (<<)".to_owned(),
                expected: "a field name: Envoy does not merge".to_owned(),
            });
        }
        if !open.keys.insert(key.clone()) {
            return Err(SyntaxError {
                at,
                found: format!("the key {key:?} a second time"),
                expected: "each key once".to_owned(),
            });
        }
        open.key = Some(key);
        Ok(())
    }

    fn start(&mut self, value: Value, anchor: usize, at: Position) -> Result<(), SyntaxError> {
        self.count(1, at)?;
        if self.waits_for_key() {
            let found = "a list or map as a key".to_owned();
            return Err(SyntaxError { at, found, expected: "a field name".to_owned() });
        }
        if self.open.len() >= MAX_DEPTH {
            let found = format!("nesting deeper than {MAX_DEPTH} levels");
            return Err(SyntaxError {
                at,
                found,
                expected: "a configuration that Envoy can load".to_owned(),
            });
        }
        self.started.push(self.nodes - 1);
        self.open.push(Open { node: Node { at, value }, anchor, key: None, keys: HashSet::new() });
        Ok(())
    }

    fn end(&mut self) {
        if let (Some(open), Some(started)) = (self.open.pop(), self.started.pop()) {
            self.finish(open.node, open.anchor, self.nodes - started);
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), SyntaxError> {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            let found = "an alias to a value that contains it".to_owned();
            return Err(SyntaxError { at, found, expected: "an alias to a finished value".to_owned() });
        };
        if self.waits_for_key() {
            let found = "an alias as a key".to_owned();
            return Err(SyntaxError { at, found, expected: "a field name".to_owned() });
        }
        self.count(target.1, at)?;
        self.finish(target.0.clone(), 0, target.1);
        Ok(())
    }

    /// A node is complete: it goes where the innermost open collection, or the document, wants it.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::new((node.clone(), size)));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { node: Node { value: Value::List(items), .. }, .. }) => items.push(node),
            Some(Open { node: Node { value: Value::Map(entries), .. }, key, .. }) => {
                entries.push((key.take().unwrap_or_default(), node));
            }
            Some(_) => {}
        }
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let found = format!("more than {MAX_NODES} values");
            return Err(SyntaxError { at, found, expected: "a smaller configuration".to_owned() });
        }
        Ok(())
    }
}
