//! YAML text as a tree in which every key and every value knows where it stands.
//!
//! It knows YAML and nothing of what a key means. What YAML leaves open is refused here: duplicate keys, several
//! documents, tags, merge keys, aliases that grow without end.

use super::complaint::{Complaints, Draft, FILE};
use super::properties::is_secret;
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Span as Marks, StrInput};
use std::collections::HashMap;

/// A part of the text, in bytes; half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A value, and the place that a complaint about it shows.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Of a scalar or an alias its text; of a mapping or list its key, or where it begins.
    pub(super) span: Span,
    pub(super) value: Value,
}

impl Node {
    /// Whether it is a section with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(&self.value, Value::Map(entries) if entries.iter().any(|entry| entry.key == key))
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that was complained about already: readers pass over it in silence.
    Bad,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// A scalar as written, and what substitution made of it.
#[derive(Clone)]
pub(super) struct Scalar {
    /// After YAML's own escapes, before substitution.
    pub(super) written: String,
    /// Quoted text is never a number, a boolean or null.
    pub(super) plain: bool,
    /// Set by [`super::substitute`].
    pub(super) substituted: Option<String>,
    /// Under a key that names a secret.
    pub(super) secret: bool,
}

/// What a scalar is in YAML's core schema, and so in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Integer,
    Float,
    Text,
    /// Read as whatever its key wants.
    Substituted,
}

impl Scalar {
    /// The text to be read.
    pub(super) fn text(&self) -> &str {
        self.substituted.as_deref().unwrap_or(&self.written)
    }

    /// The text that people may see: never a secret, never what was substituted.
    pub(super) fn shown(&self) -> String {
        let short: String = self.written.chars().take(60).collect();
        let dots = if short.len() < self.written.len() { "…" } else { "" };
        if self.secret { "***".into() } else { format!("{}{dots}", short.escape_debug()) }
    }

    pub(super) fn kind(&self) -> Kind {
        if self.substituted.is_some() {
            return Kind::Substituted;
        }
        match self.written.as_str() {
            _ if !self.plain => Kind::Text,
            "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Bool,
            text if is_integer(text) => Kind::Integer,
            text if is_float(text) => Kind::Float,
            _ => Kind::Text,
        }
    }
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scalar({})", self.shown())
    }
}

fn is_integer(text: &str) -> bool {
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits(unsigned, 10)
        || text.strip_prefix("0o").is_some_and(|t| digits(t, 8))
        || text.strip_prefix("0x").is_some_and(|t| digits(t, 16))
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned.to_ascii_lowercase().as_str() {
        ".inf" | ".nan" => true,
        // Rust reads `inf` and `infinity` as well, YAML does not.
        lower => lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok(),
    }
}

/// What [`parse`] makes of a text.
pub(super) struct Tree {
    /// `None` if the text is no YAML at all.
    pub(super) root: Option<Node>,
    /// What no picture may show.
    pub(super) secrets: Vec<Span>,
}

/// Parses `text`; whatever is wrong with it goes to `out`.
pub(super) fn parse(text: &str, out: &mut Complaints) -> Tree {
    let parser = Parser::new_from_str(text);
    let mut builder =
        Builder { text, parser, out, anchors: HashMap::new(), path: Vec::new(), left: NODES_MAX, secrets: Vec::new() };
    let root = builder.document().ok();
    Tree { root, secrets: builder.secrets }
}

/// Nodes in one file, counting what aliases repeat: more than any pipeline needs, and few enough to survive.
const NODES_MAX: usize = 1_000_000;

/// The text is no YAML, and that was said.
struct Stop;

struct Builder<'t, 'c> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    out: &'c mut Complaints,
    anchors: HashMap<usize, Node>,
    path: Vec<String>,
    left: usize,
    secrets: Vec<Span>,
}

impl<'t> Builder<'t, '_> {
    /// The one document of the text.
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, marks) = self.next()?;
            let span = self.span(marks);
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    let noun = self.out.genre.noun;
                    self.stop(span, "a second YAML document".to_owned())
                        .help(format!("one file holds one {noun}: move this one to a file of its own"));
                    return Err(Stop);
                }
                event => root = Some(self.node(event, span)?),
            }
        }
        let nothing = |node: &Node| matches!(&node.value, Value::Scalar(scalar) if scalar.kind() == Kind::Null);
        root.filter(|node| !nothing(node)).map(|root| Node { span: FILE, ..root }).ok_or_else(|| {
            let begin = self.out.genre.begin;
            self.out.error_in_file("the file says nothing").help(begin);
            Stop
        })
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Stop> {
        self.count(1, span)?;
        let (value, anchor, tagged) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let (plain, secret) = (style == ScalarStyle::Plain, self.in_secret());
                self.secrets.extend(secret.then_some(span));
                let scalar = Scalar { written: text.into_owned(), plain, substituted: None, secret };
                (Value::Scalar(scalar), anchor, tag.is_some())
            }
            Event::SequenceStart(_, anchor, tag) => (Value::List(self.list()?), anchor, tag.is_some()),
            Event::MappingStart(_, anchor, tag) => (Value::Map(self.map()?), anchor, tag.is_some()),
            _ => (Value::Bad, 0, false),
        };
        let node = Node { span, value };
        if tagged {
            self.out.error(span, "a YAML tag").help("tags mean nothing here; to make text of a number, quote it");
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Stop> {
        match self.anchors.get(&id).cloned() {
            Some(target) => {
                self.count(size(&target), span)?;
                Ok(Node { span, value: target.value })
            }
            None => {
                self.out.error(span, "this alias stands inside of what it refers to");
                Ok(Node { span, value: Value::Bad })
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, marks) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            let span = self.span(marks);
            items.push(self.node(event, span)?);
        }
    }

    fn map(&mut self) -> Result<Vec<Entry>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, marks) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key_span = self.span(marks);
            let key = self.node(event, key_span)?;
            let name = match key.value {
                Value::Scalar(scalar) => scalar.written,
                _ => String::new(),
            };
            self.path.push(name.clone());
            let (event, marks) = self.next()?;
            let span = self.span(marks);
            let mut node = self.node(event, span)?;
            self.path.pop();
            // Nothing has no place of its own.
            if matches!(node.value, Value::Map(_) | Value::List(_)) || span.start == span.end {
                node.span = key_span;
            }
            if name.is_empty() {
                self.out.error(key_span, "a key must be one word or name");
            } else if let Some(first) = seen.get(&name) {
                let line = self.out.line(*first);
                self.out.error(key_span, format!("`{name}` is written twice; the first time in line {line}"));
            } else {
                seen.insert(name.clone(), key_span);
                entries.push(Entry { key: name, key_span, node });
            }
        }
    }

    /// Whether the value being read stands under a secret's name. Names of aggregates are the user's own.
    fn in_secret(&self) -> bool {
        let own = self.path.first().is_some_and(|section| section == "aggregate" || section == "source");
        !own && self.path.iter().any(|key| is_secret(key))
    }

    fn next(&mut self) -> Result<(Event<'t>, Marks), Stop> {
        loop {
            match self.parser.next() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(next),
                None => return Ok((Event::StreamEnd, Marks::default())),
                Some(Err(error)) => {
                    let at = offset(self.text, error.marker());
                    self.syntax_error(Span { start: at, end: at + 1 }, error.info());
                    return Err(Stop);
                }
            }
        }
    }

    fn syntax_error(&mut self, span: Span, what: String) {
        let substitution = self.out.line_text(span).contains("${");
        let complaint = self.stop(span, format!("not YAML: {what}"));
        if substitution {
            complaint.help("inside braces and brackets a substitution needs quotes: \"${env:NAME}\"");
        }
    }

    /// The last complaint about this text. The tree that would say which values are secrets is not there: so a line
    /// near one is not shown at all.
    fn stop(&mut self, span: Span, message: String) -> &mut Draft {
        let near = self.path.iter().any(|key| key.ends_with("properties") || is_secret(key));
        if near || is_secret(self.out.line_text(span)) {
            self.out.error_without_picture(span, message)
        } else {
            self.out.error(span, message)
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        match self.left.checked_sub(nodes) {
            Some(left) => self.left = left,
            None => {
                self.stop(span, format!("more than {NODES_MAX} values, counting what aliases repeat"));
                return Err(Stop);
            }
        }
        Ok(())
    }

    fn span(&self, marks: Marks) -> Span {
        let start = offset(self.text, &marks.start);
        Span { start, end: offset(self.text, &marks.end).max(start) }
    }
}

/// Nodes below `node`, itself included.
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
        _ => 0,
    }
}

/// Byte offset of a mark; the parser knows it for texts held in memory.
fn offset(text: &str, mark: &Marker) -> usize {
    let counted = || text.char_indices().nth(mark.index()).map_or(text.len(), |(at, _)| at);
    mark.byte_offset().unwrap_or_else(counted).min(text.len())
}
