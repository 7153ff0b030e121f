//! Names of things: pipelines, topics, fields.

use super::read::{Form, Shape, Wrong};

/// A pipeline, a group or an instance: it becomes a part of transactional ids and labels.
#[derive(Clone, Debug)]
pub(super) struct Name(pub(super) String);

impl Form for Name {
    const WHAT: &'static str = "a name (letters, digits, `.`, `_`, `-`; at most 100)";
    const SHAPE: Shape = Shape::Pattern("[A-Za-z0-9._-]{1,100}");

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(Self(text.into()))
    }
}

/// Any text that is not empty.
#[derive(Clone, Debug)]
pub(super) struct Text(pub(super) String);

impl Form for Text {
    const WHAT: &'static str = "text";
    const SHAPE: Shape = Shape::Pattern(r"[\s\S]+");

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(Self(text.into()))
    }
}

/// A topic by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicName(pub(super) String);

impl Form for TopicName {
    const WHAT: &'static str = "a topic's name (letters, digits, `.`, `_`, `-`; at most 249)";
    const SHAPE: Shape = Shape::Pattern("[A-Za-z0-9._-]{1,249}");

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "." | ".." => Err("no topic can have this name".to_owned().into()),
            name => Ok(Self(name.into())),
        }
    }
}

/// A source topic by name, or all topics that an expression matches.
#[derive(Clone, Debug)]
pub(super) enum TopicPattern {
    Name(String),
    Expression(regex::Regex),
}

impl Form for TopicPattern {
    const WHAT: &'static str = "a topic's name, or a regular expression that begins with `^`";
    const SHAPE: Shape = Shape::Pattern(r"[A-Za-z0-9._-]{1,249}|\^[\s\S]+");

    fn parse(text: &str) -> Result<Self, Wrong> {
        if !text.starts_with('^') {
            return TopicName::parse(text).map(|name| Self::Name(name.0));
        }
        // The client and the broker have engines of their own: only what all of them read alike.
        let escaped_letter = text.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_alphanumeric());
        if escaped_letter || text.contains("(?") {
            return Err(Wrong {
                message: "this regular expression uses what not every client and broker knows".into(),
                help: Some("write [0-9] for \\d, [A-Za-z0-9_] for \\w, and no (?…)".into()),
            });
        }
        regex::Regex::new(text).map(Self::Expression).map_err(|_| Wrong {
            message: "this is not a regular expression".into(),
            help: Some("check its brackets and its repetitions".into()),
        })
    }
}

impl TopicPattern {
    /// Its text as written in the file.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Expression(expression) => expression.as_str(),
        }
    }

    /// Whether the topic is read because of it.
    pub(super) fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Name(name) => name == topic,
            Self::Expression(expression) => expression.is_match(topic),
        }
    }
}

/// A field of the value: member names joined by dots.
#[derive(Clone, Debug)]
pub(super) struct FieldPath(pub(super) String);

impl Form for FieldPath {
    const WHAT: &'static str = "a field (member names joined by dots)";
    const SHAPE: Shape = Shape::Pattern(r"[^.]+(\.[^.]+)*");

    fn parse(text: &str) -> Result<Self, Wrong> {
        // The root of a value is level 1 of the 128 that are read.
        match text.split('.').count() > 127 {
            true => Err("values are read to a depth of 128".to_owned().into()),
            false => Ok(Self(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_anywhere_after_its_beginning() {
        let Ok(expression) = TopicPattern::parse("^flights-") else { panic!("an expression") };
        assert!(expression.matches("flights-2013"));
        assert!(!expression.matches("old-flights-2013"));
        assert!(!expression.matches("flights"));
    }

    #[test]
    fn expressions_that_engines_read_differently_are_refused() {
        for text in [r"^a\d+$", "^(?i)a$", "^(a", r"^\w"] {
            assert!(TopicPattern::parse(text).is_err(), "{text}");
        }
        assert!(TopicPattern::parse(r"^a\.b-[0-9]{4}$").is_ok());
    }
}
