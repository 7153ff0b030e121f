//! The model's own JSON: RFC 8259 to a tree, by recursive descent. It keeps every member and every number's text.
//!
//! It never rounds, never drops a duplicate, and shares nothing with the decoder that it is compared with.

/// At most so many arrays and objects inside one another; the root is level 1.
const MAX_LEVELS: usize = 128;

/// Unicode code points, lone surrogates among them.
pub type Text = Vec<u32>;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(Text),
    Array(Vec<Json>),
    /// All members in order, duplicates too.
    Object(Vec<(Text, Json)>),
}

impl Json {
    /// The one value that `bytes` hold with nothing but white space around it; `None` is `malformed`.
    pub fn read(bytes: &[u8]) -> Option<Json> {
        let mut reader = Reader { rest: std::str::from_utf8(bytes).ok()? };
        let value = reader.value(1)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// The value at member names joined by dots. Of a member named twice the last counts; null is like missing.
    pub fn at(&self, path: &str) -> Option<&Json> {
        let mut here = self;
        for name in path.split('.') {
            let Json::Object(members) = here else { return None };
            let name: Text = name.chars().map(u32::from).collect();
            here = members.iter().rfind(|(member, _)| *member == name).map(|(_, value)| value)?;
        }
        (*here != Json::Null).then_some(here)
    }

    /// Canonical text of a scalar: numbers as they were written, strings with as few escapes as possible.
    pub fn text(&self) -> String {
        match self {
            Json::Null => "null".to_owned(),
            Json::Bool(value) => value.to_string(),
            Json::Number(text) => text.clone(),
            Json::Text(points) => format!("\"{}\"", points.iter().map(|&point| escaped(point)).collect::<String>()),
            Json::Array(_) | Json::Object(_) => "(no scalar)".to_owned(),
        }
    }
}

fn escaped(point: u32) -> String {
    match char::from_u32(point) {
        Some(c @ ('"' | '\\')) => format!("\\{c}"),
        Some(c) if c >= ' ' => c.to_string(),
        _ => format!("\\u{point:04x}"),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Like [`Self::take`], after white space.
    fn take_after_space(&mut self, token: &str) -> bool {
        self.space();
        self.take(token)
    }

    fn value(&mut self, level: usize) -> Option<Json> {
        self.space();
        match self.rest.chars().next()? {
            '{' | '[' if level > MAX_LEVELS => None,
            '{' => self.object(level),
            '[' => self.array(level),
            '"' => self.string().map(Json::Text),
            '-' | '0'..='9' => self.number(),
            _ if self.take("null") => Some(Json::Null),
            _ if self.take("true") => Some(Json::Bool(true)),
            _ if self.take("false") => Some(Json::Bool(false)),
            _ => None,
        }
    }

    fn object(&mut self, level: usize) -> Option<Json> {
        let mut members = Vec::new();
        self.take("{").then_some(())?;
        if self.take_after_space("}") {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.take_after_space(":").then_some(())?;
            members.push((name, self.value(level + 1)?));
            if !self.take_after_space(",") {
                return self.take("}").then_some(Json::Object(members));
            }
        }
    }

    fn array(&mut self, level: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.take("[").then_some(())?;
        if self.take_after_space("]") {
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value(level + 1)?);
            if !self.take_after_space(",") {
                return self.take("]").then_some(Json::Array(items));
            }
        }
    }

    fn string(&mut self) -> Option<Text> {
        let mut text = Text::new();
        self.take("\"").then_some(())?;
        loop {
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                '\0'..='\x1f' => return None,
                _ => text.push(c.into()),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<u32> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(match c {
            '"' | '\\' | '/' => c.into(),
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'u' => {
                let unit = self.hex4()?;
                let after_first = self.rest;
                if (0xd800..0xdc00).contains(&unit) && self.take("\\u") {
                    let second = self.hex4()?;
                    if (0xdc00..0xe000).contains(&second) {
                        return Some(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00));
                    }
                    self.rest = after_first; // alone: what follows is read for itself
                }
                unit
            }
            _ => return None,
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let from_here = self.rest;
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        if self.take(".") {
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            self.digits()?;
        }
        Some(Json::Number(from_here[..from_here.len() - self.rest.len()].to_owned()))
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let some = rest.len() < self.rest.len();
        self.rest = rest;
        some.then_some(())
    }
}
