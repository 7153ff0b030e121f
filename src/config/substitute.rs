//! `${env:NAME}`, `${env:NAME:-value}` and `${file:/path}` in the scalars of a parsed tree.
//!
//! After parsing, so that a value can never change the structure; once, so that a value can never ask for another one.
//! `$${` stands for `${`. What was put in is never shown to anyone.

use super::complaint::Complaints;
use super::node::{Node, Scalar, Value};
use std::path::Path;

/// Larger files are no settings.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the values come from.
pub(super) struct Sources<'a> {
    /// The environment.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// What relative paths are relative to.
    pub(super) dir: &'a Path,
}

/// Fills in every scalar below `node`; what cannot be filled in becomes [`Value::Bad`].
pub(super) fn substitute(node: &mut Node, sources: &Sources<'_>, out: &mut Complaints) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| substitute(item, sources, out)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| substitute(&mut entry.node, sources, out)),
        Value::Scalar(scalar) if scalar.written.contains("${") => match fill(scalar, sources) {
            Ok(text) => scalar.substituted = Some(text),
            Err((message, help)) => {
                out.error(node.span, message).help(help);
                node.value = Value::Bad;
            }
        },
        Value::Scalar(_) | Value::Bad => {}
    }
}

/// The filled-in text, or what is wrong and what to do.
fn fill(scalar: &Scalar, sources: &Sources<'_>) -> Result<String, (String, String)> {
    let mut filled = String::new();
    let mut rest = scalar.written.as_str();
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        let found = found.strip_prefix("${").unwrap_or(found);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = found;
            continue;
        }
        filled.push_str(before);
        let Some((inside, after)) = found.split_once('}') else {
            return Err(("`${` without `}`".into(), "write ${env:NAME}, or $${ where `${` itself is meant".into()));
        };
        filled.push_str(&value(inside, sources)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The value of what stands between `${` and `}`.
fn value(inside: &str, sources: &Sources<'_>) -> Result<String, (String, String)> {
    if let Some(name) = inside.strip_prefix("env:") {
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        let found = (sources.env)(name).filter(|value| default.is_none() || !value.is_empty());
        return found.or(default.map(Into::into)).ok_or_else(|| {
            let help = format!("set it, or give a default: ${{env:{name}:-value}}");
            (format!("the environment variable `{name}` is not set"), help)
        });
    }
    if let Some(path) = inside.strip_prefix("file:") {
        let whole = sources.dir.join(path);
        return read_short(&whole).map_err(|problem| {
            (format!("cannot read `{}`: {problem}", whole.display()), "a path is relative to this file".into())
        });
    }
    let known = "only ${env:NAME}, ${env:NAME:-value} and ${file:/path} are filled in; write $${ for `${` itself";
    Err(("this is no substitution".into(), known.into()))
}

/// The text of a small file without the line break that editors put at its end.
fn read_short(path: &Path) -> Result<String, String> {
    let bytes = read_at_most(path, FILE_BYTES_MAX)?;
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    text.truncate(text.strip_suffix('\n').map_or(text.len(), |t| t.strip_suffix('\r').unwrap_or(t).len()));
    Ok(text)
}

/// The bytes of a file of at most `bytes_max`; devices and pipes included, which have no length.
pub(super) fn read_at_most(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 > bytes_max {
        true => Err(format!("it is longer than {}", bytesize::ByteSize(bytes_max))),
        false => Ok(bytes),
    }
}
