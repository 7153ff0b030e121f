//! The test file of a pipeline as checked: cases, their steps, and what they are expected to lead to.
//!
//! Read by the same reader as the pipeline, with the same complaints; nothing in it is substituted. Runs nothing.

mod check;
mod row;
mod values;
mod written;

pub use row::{Cell, Row, Style, Value};
pub use values::Fated;

use super::complaint::{Complaint, Complaints, Genre};
use super::load::{Loaded, read_text};
use super::read::Read;
use super::{Config, node};
use std::path::{Path, PathBuf};

static GENRE: Genre = Genre {
    noun: "set of cases",
    begin: "docs/testing.md shows how a case is written; config/flights.test.yaml has some",
    stray: |_| None,
};

/// A test file with the pipeline that it tests.
#[derive(Debug)]
pub struct Cases {
    /// Its name in messages.
    pub file: String,
    /// Its text.
    pub text: String,
    /// The pipeline.
    pub config: Config,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// How times are written in it.
    pub style: Style,
    /// What happens.
    pub steps: Vec<Step>,
    /// Where its last step begins, `expect` of the case left out.
    pub last_step: Place,
}

/// A place in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Bytes of the text, half-open.
    pub bytes: (usize, usize),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands.
    pub place: Place,
    /// What it does.
    pub does: Does,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Does {
    /// A record arrives.
    Record(Record),
    /// The clock goes on by so many ms, and nothing falls silent.
    Advance(i64),
    /// Nothing arrives for so many ms.
    Silence(i64),
    /// The worker dies, and another goes on from what is committed.
    Crash,
    /// All partitions move to another worker.
    Rebalance,
    /// What must have been committed since the last expectation.
    Expect(Expect),
}

/// One record, as bytes.
#[derive(Clone, Debug)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: Option<String>,
    /// The value.
    pub value: Option<String>,
    /// Its own time, Unix ms: of the value, unless that has another one, and of Kafka.
    pub at_ms: Option<i64>,
    /// What the clock shows when it arrives, Unix ms.
    pub arrives_ms: i64,
    /// What must become of it, and where that is written (a step `late` has no such place).
    pub fate: Option<(Fated, Option<Place>)>,
}

/// What must have been committed since the last expectation.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Where `expect` stands.
    pub place: Place,
    /// Windows.
    pub windows: Vec<Row>,
    /// Late records.
    pub late: Vec<Row>,
    /// Dead letters.
    pub dead: Vec<Row>,
    /// Open windows; `None` are not compared.
    pub open: Option<Vec<Row>>,
    /// Numbers of records; `None` are not compared.
    pub fates: Option<Row>,
}

/// Reads a test file; `pipeline` reads the pipeline that it names.
///
/// # Errors
/// Everything that is wrong with the one or the other.
pub fn load(path: &Path, pipeline: &dyn Fn(&Path) -> Result<Loaded, Vec<Complaint>>) -> Result<Cases, Vec<Complaint>> {
    let file = path.display().to_string();
    let text = read_text(path, "give the path of a test file, such as config/flights.test.yaml")?;
    let mut out = Complaints::new(&file, &text, &GENRE);
    let written = node::parse(&text, &mut out).root.and_then(|root| written::Cases::read(&root, &mut out));
    let named = written.as_ref().and_then(|cases| cases.pipeline.as_ref()).map(|at| at.value.0.as_str());
    let Some(tested) = tested(path, named) else {
        out.error_in_file("this file does not say which pipeline it tests")
            .help("call it x.test.yaml to test x.yaml beside it, or write `pipeline: FILE`");
        return Err(out.finish(&[]));
    };
    let Some(written) = written.filter(|_| !out.any_error()) else { return Err(out.finish(&[])) };
    let mut config = pipeline(&tested)?.config;
    check::prepare(&mut config);
    let cases = check::cases(written, &config, &mut out);
    match out.any_error() {
        true => Err(out.finish(&[])),
        false => Ok(Cases { file, cases, config, text }),
    }
}

/// The pipeline that the file at `path` tests.
fn tested(path: &Path, named: Option<&str>) -> Option<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(named) = named {
        return Some(folder.join(named));
    }
    let name = path.file_name()?.to_str()?;
    let (stem, ending) =
        [".test.yaml", ".test.yml"].iter().find_map(|end| Some((name.strip_suffix(end)?, &end[5..])))?;
    Some(folder.join(format!("{stem}{ending}")))
}

/// The JSON Schema of a test file.
pub fn schema() -> serde_json::Value {
    let mut schema = written::Cases::schema();
    unsubstituted(&mut schema);
    let mut all = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidemill test cases",
    });
    if let (Some(all), serde_json::Value::Object(cases)) = (all.as_object_mut(), schema) {
        all.extend(cases);
    }
    all
}

/// Nothing is filled in here, so no value may stand for another.
fn unsubstituted(schema: &mut serde_json::Value) {
    let substitution = super::read::substitution();
    match schema {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match member {
                    serde_json::Value::String(pattern) if name == "pattern" => {
                        pattern.truncate(pattern.strip_suffix(r"|\$\{").unwrap_or(pattern).len());
                    }
                    _ => unsubstituted(member),
                }
            }
        }
        serde_json::Value::Array(items) => {
            items.retain(|item| *item != substitution);
            items.iter_mut().for_each(unsubstituted);
        }
        _ => {}
    }
}
