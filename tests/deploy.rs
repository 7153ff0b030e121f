//! docker-compose.yml, the Dockerfile and deploy/kubernetes: valid by their schemas (tests/deploy/schemas), and true to the
//! files, ports, metrics and commands that they name.
//!
//! No container engine has a part in it: `live` runs what the containers would run, as processes.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "support"]
mod support {
    pub mod kafka;
}

#[path = "deploy/compose.rs"]
mod compose;
#[path = "deploy/image.rs"]
mod image;
#[path = "deploy/kubernetes.rs"]
mod kubernetes;
#[path = "deploy/live.rs"]
mod live;
#[path = "support/panels.rs"]
mod panels;
#[path = "worker/process.rs"]
mod process;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidemill::config::{self, Config};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A scalar as it would be written.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The items of a list as text; none if there is no list.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

/// What a schema finds wrong.
fn wrong(schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// `value` with one member replaced, added, or (`None`) taken away.
fn with(value: &Value, pointer: &str, name: &str, member: Option<Value>) -> Value {
    let mut changed = value.clone();
    let place = changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")).as_object_mut().unwrap();
    match member {
        Some(member) => drop(place.insert(name.to_owned(), member)),
        None => drop(place.remove(name).unwrap_or_else(|| panic!("no {pointer}/{name}"))),
    }
    changed
}

/// A pipeline that `tidemill check` takes, with these variables; the one warning is that it listens beyond the machine,
/// which a container must.
fn pipeline(path: &str, env: &[(&str, &str)]) -> Config {
    let mut check = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    let checked = check.arg("check").arg(root(path)).envs(env.iter().copied()).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{path}: {said}");
    let warnings: Vec<_> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings, ["warning: metrics are served beyond this machine, to anyone who can reach the port"]);
    let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    config::load(&root(path), &find).unwrap_or_else(|complaints| panic!("{path}: {complaints:?}")).config
}

/// The pipeline that people start from: both deployments run it, and say what they change.
fn shipped() -> Config {
    config::load(&root("config/flights.yaml"), &|_| None).unwrap().config
}

fn topics(config: &Config) -> Vec<String> {
    let own = [Some(&config.sink.topic), config.late.as_ref(), config.dead_letter.as_ref()];
    config.topics.patterns.iter().chain(own.into_iter().flatten()).cloned().collect()
}

/// Debian's package `prometheus` has it.
fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().expect("promtool is installed");
    assert!(output.status.success(), "promtool {arguments:?}: {output:?}");
}
