//! What is wrong with a configuration, for people: where, a picture of the line, what to do.
//!
//! Complaints are collected, never thrown: one reading finds everything. No picture shows a secret.

use super::node::Span;
use std::fmt;

/// Whether the configuration can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and an operator should know this.
    Warning,
}

/// One thing to know about a configuration. `Display` shows it with its line, in the style of rustc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one line; no secrets.
    pub message: String,
    /// Name of the file.
    pub file: String,
    /// Line and column of the place, both from 1, the column in characters; `None`: the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What to do about it.
    pub help: Option<String>,
    picture: Option<Picture>,
}

/// A line of the file with secrets masked, and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    line: String,
    /// Characters before the caret.
    before: usize,
    /// Number of carets, at least 1.
    carets: usize,
}

/// Characters of a line that are shown: a whole file can stand in one.
const SHOWN_MAX: usize = 160;

impl Picture {
    /// Cuts a long line to what stands around the carets.
    fn cut(&mut self) {
        let skipped = self.before.saturating_sub(SHOWN_MAX / 2);
        let left = if skipped > 0 { "…" } else { "" };
        let mut rest = self.line.chars().skip(skipped);
        let shown: String = rest.by_ref().take(SHOWN_MAX).collect();
        let right = if rest.next().is_some() { "…" } else { "" };
        self.before = self.before - skipped + left.chars().count();
        self.line = format!("{left}{shown}{right}");
    }
}

impl Complaint {
    /// Whether the configuration cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// A complaint about a file as a whole, for the one that could not be read.
    pub(super) fn about_file(file: &str, message: String, help: Option<String>) -> Self {
        Self { severity: Severity::Error, message, file: file.into(), place: None, help, picture: None }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_error() { "error" } else { "warning" };
        let number = self.place.map(|(line, _)| line.to_string()).unwrap_or_default();
        let margin = " ".repeat(number.len());
        writeln!(f, "{severity}: {}", self.message)?;
        match self.place {
            Some((line, column)) => writeln!(f, "{margin}--> {}:{line}:{column}", self.file)?,
            None => writeln!(f, "{margin}--> {}", self.file)?,
        }
        if let Some(Picture { line, before, carets }) = &self.picture {
            // A tab is as wide below as it is above.
            let blank: String = line.chars().take(*before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            writeln!(f, "{margin} |\n{number} | {line}\n{margin} | {blank}{}", "^".repeat(*carets))?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{margin} = help: {help}")?;
        }
        Ok(())
    }
}

/// Complaints in the making, and the text that they are about.
pub(super) struct Complaints {
    /// What kind of file it is.
    pub(super) genre: &'static Genre,
    file: String,
    text: String,
    drafts: Vec<Draft>,
}

/// A kind of file, as far as complaints about any of them differ.
pub(super) struct Genre {
    /// What one file holds.
    pub(super) noun: &'static str,
    /// What to do with an empty one.
    pub(super) begin: &'static str,
    /// What to do about a key that stands where nobody knows it.
    pub(super) stray: fn(&str) -> Option<String>,
}

/// A complaint that still can get help.
pub(super) struct Draft {
    severity: Severity,
    span: Option<Span>,
    picture: bool,
    message: String,
    help: Option<String>,
}

impl Draft {
    /// Adds what to do; a second call adds to the first.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        let help = help.into();
        self.help = Some(match self.help.take() {
            Some(first) => format!("{first}; {help}"),
            None => help,
        });
        self
    }

    /// Adds what to do, if there is an idea.
    pub(super) fn maybe_help(&mut self, help: Option<String>) -> &mut Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

impl Complaints {
    pub(super) fn new(file: &str, text: &str, genre: &'static Genre) -> Self {
        Self { genre, file: file.into(), text: text.into(), drafts: Vec::new() }
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Error, Some(span), true, message.into())
    }

    pub(super) fn error_without_picture(&mut self, span: Span, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Error, Some(span), false, message.into())
    }

    pub(super) fn error_in_file(&mut self, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Error, None, false, message.into())
    }

    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Warning, Some(span), true, message.into())
    }

    pub(super) fn warning_in_file(&mut self, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Warning, None, false, message.into())
    }

    fn add(&mut self, severity: Severity, span: Option<Span>, picture: bool, message: String) -> &mut Draft {
        // A section that is not in the file stands at its very beginning: there is no line to show.
        let span = span.filter(|span| *span != FILE);
        self.drafts.push_mut(Draft { severity, span, picture, message, help: None })
    }

    /// The last complaint, if it came after the first `before`.
    pub(super) fn since(&mut self, before: usize) -> Option<&mut Draft> {
        self.drafts.get_mut(before..)?.last_mut()
    }

    pub(super) fn count(&self) -> usize {
        self.drafts.len()
    }

    pub(super) fn any_error(&self) -> bool {
        self.drafts.iter().any(|draft| draft.severity == Severity::Error)
    }

    /// Number of the line in which a span begins, from 1.
    pub(super) fn line(&self, span: Span) -> usize {
        self.before(span).matches('\n').count() + 1
    }

    /// The text of that line.
    pub(super) fn line_text(&self, span: Span) -> &str {
        let start = self.before(span).rfind('\n').map_or(0, |at| at + 1);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    fn before(&self, span: Span) -> &str {
        let mut end = span.start.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.get(..end).unwrap_or_default()
    }

    /// Errors first, then warnings, each in the order of the file.
    pub(super) fn finish(self, secrets: &[Span]) -> Vec<Complaint> {
        let mut drafts: Vec<&Draft> = self.drafts.iter().collect();
        drafts.sort_by_key(|draft| (draft.severity, draft.span));
        drafts.into_iter().map(|draft| self.complaint(draft, secrets)).collect()
    }

    /// Line and column in which a span begins, both from 1.
    pub(super) fn place(&self, span: Span) -> (usize, usize) {
        let column = self.before(span).chars().rev().take_while(|c| *c != '\n').count() + 1;
        (self.line(span), column)
    }

    fn complaint(&self, draft: &Draft, secrets: &[Span]) -> Complaint {
        Complaint {
            severity: draft.severity,
            message: draft.message.clone(),
            file: self.file.clone(),
            place: draft.span.map(|span| self.place(span)),
            help: draft.help.clone(),
            picture: draft.span.filter(|_| draft.picture).map(|span| self.picture(span, secrets)),
        }
    }

    fn picture(&self, span: Span, secrets: &[Span]) -> Picture {
        let start = self.before(span).rfind('\n').map_or(0, |at| at + 1);
        let mut picture = Picture { line: String::new(), before: 0, carets: 0 };
        let mut masked = false;
        for (at, c) in self.line_text(span).char_indices().map(|(at, c)| (start + at, c)) {
            let indent = c.is_whitespace() && picture.line.trim().is_empty();
            let secret = !indent && secrets.iter().any(|secret| (secret.start..secret.end).contains(&at));
            let shown = match (secret, masked) {
                (true, true) => "",
                (true, false) => "***",
                (false, _) => &c.to_string(),
            };
            masked = secret;
            picture.line.push_str(shown);
            match at {
                _ if at < span.start => picture.before += shown.chars().count(),
                _ if at < span.end => picture.carets += shown.chars().count(),
                _ => {}
            }
        }
        picture.line.truncate(picture.line.trim_end().len());
        picture.cut();
        picture.carets = picture.carets.min(picture.line.chars().count().saturating_sub(picture.before)).max(1);
        picture
    }
}

/// The span of what the file does not say.
pub(super) const FILE: Span = Span { start: usize::MAX, end: usize::MAX };
