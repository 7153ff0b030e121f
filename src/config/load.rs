//! Text → [`Config`], or everything that is wrong with it.
//!
//! Four steps: parse (`node`), fill in (`substitute`), read each key by itself (`written`), hold keys against each
//! other (`relations`). Each goes on after a complaint as far as it can.

use super::complaint::{Complaint, Complaints, Genre};
use super::read::Read;
use super::relations::{self, Surroundings};
use super::substitute::{Sources, read_at_most, substitute};
use super::{Config, node, written};
use std::path::Path;

/// Larger files are no pipelines.
const FILE_BYTES_MAX: u64 = 16 << 20;

const PIPELINE: Genre = Genre {
    noun: "pipeline",
    begin: "start from config/flights.yaml; config/reference.yaml explains every key",
    stray: |key| match key.contains('.') {
        true => Some("librdkafka properties stand under `kafka.properties`".to_owned()),
        false => written::home_of(key).map(|home| format!("it belongs under `{home}`")),
    },
};

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// What an operator should know all the same.
    pub warnings: Vec<Complaint>,
}

/// Where values of variables come from: `|name| std::env::var(name).ok()`, or a table in tests.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whether librdkafka takes a property (name, value), and if not, why; asked once for each property of the file.
/// A value that must not be shown is cut out of the answer.
pub type Known<'a> = &'a dyn Fn(&str, &str) -> Result<(), String>;

/// Reads a file. The errors are all that can be found at once, and the warnings with them.
pub fn load(path: &Path, env: Env<'_>) -> Result<Loaded, Vec<Complaint>> {
    load_with(path, env, &|_, _| Ok(()))
}

/// [`load`], and every property is shown to `known` as well.
pub fn load_with(path: &Path, env: Env<'_>, known: Known<'_>) -> Result<Loaded, Vec<Complaint>> {
    let text = read_text(path, "give the path of a pipeline, such as config/flights.yaml")?;
    let dir = path.parent().unwrap_or(Path::new(""));
    parse_with(&path.display().to_string(), &text, dir, env, known)
}

/// The text of a file; `help` for one that cannot be read.
pub(super) fn read_text(path: &Path, help: &str) -> Result<String, Vec<Complaint>> {
    let name = path.display().to_string();
    let unreadable = |problem: String, help: &str| {
        vec![Complaint::about_file(&name, format!("cannot read the file: {problem}"), Some(help.into()))]
    };
    let bytes = read_at_most(path, FILE_BYTES_MAX).map_err(|problem| unreadable(problem, help))?;
    String::from_utf8(bytes).map_err(|error| {
        unreadable(format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()), "save it as UTF-8")
    })
}

/// Reads a text that is called `name` in complaints; relative paths in it are relative to `dir`.
pub fn parse(name: &str, text: &str, dir: &Path, env: Env<'_>) -> Result<Loaded, Vec<Complaint>> {
    parse_with(name, text, dir, env, &|_, _| Ok(()))
}

fn parse_with(name: &str, text: &str, dir: &Path, env: Env<'_>, known: Known<'_>) -> Result<Loaded, Vec<Complaint>> {
    let mut out = Complaints::new(name, text, &PIPELINE);
    let tree = node::parse(text, &mut out);
    let config = tree.root.and_then(|mut root| {
        substitute(&mut root, &Sources { env, dir }, &mut out);
        let written = written::Pipeline::read(&root, &mut out)?;
        let around = Surroundings { dir, has: &|key| root.has(key), known };
        relations::check(written, &around, &mut out)
    });
    let broken = out.any_error();
    let complaints = out.finish(&tree.secrets);
    match config {
        Some(config) if !broken => Ok(Loaded { config, warnings: complaints }),
        _ => Err(complaints),
    }
}

/// The JSON Schema of the file: what it can say about it is what [`load`] enforces.
pub fn schema() -> serde_json::Value {
    let mut schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidemill pipeline",
    });
    if let (Some(all), serde_json::Value::Object(pipeline)) = (schema.as_object_mut(), written::Pipeline::schema()) {
        all.extend(pipeline);
    }
    schema
}
