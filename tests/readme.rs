//! The README tells the truth: its pipeline is the demo's, its result is one of the demo's, its commands exist.

use std::path::Path;
use std::process::Command;
use tidemill::config;

const README: &str = include_str!("../README.md");

/// The text of each fenced block in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    README.split(open.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

fn tidemill(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_tidemill")).args(arguments).output().unwrap()
}

#[test]
fn the_pipeline_in_the_readme_is_the_one_that_the_demo_runs() {
    let parse = |text: &str| config::parse("README.md", text, Path::new("."), &|_| None).unwrap().config;
    let readme = parse(blocks("yaml")[0]);
    let shipped = parse(include_str!("../config/flights.yaml"));
    assert_eq!(readme.pipeline, shipped.pipeline);
    assert_eq!(format!("{readme:?}"), format!("{shipped:?}"));
}

#[test]
fn the_demo_ends_with_the_facts_and_with_the_result_in_the_readme() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("results.jsonl");
    let output = tidemill(&["demo", "--json", "--results", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let facts = [
        ("records", 336_776),
        ("merged", 322_792),
        ("late", 13_984),
        ("dead", 0),
        ("ignored", 0),
        ("windows", 59_603),
        ("windows_by_watermark", 59_595),
        ("windows_by_idle", 8),
    ];
    for (name, value) in facts {
        assert_eq!(summary[name], value, "{name}: {summary}");
    }
    for name in ["seconds", "records_per_second", "peak_resident_bytes"] {
        assert!(summary[name].as_f64().is_some_and(|number| number > 0.0), "{name}: {summary}");
    }
    let results = std::fs::read_to_string(file).unwrap();
    let result = blocks("json")[1];
    assert!(results.lines().any(|line| line == result), "{result} is none of the demo's results");
    let field = |line: &str, name: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()[name].as_f64();
    let delays: f64 = results.lines().filter_map(|line| field(line, "total_delay")).sum();
    let worst = results.lines().filter_map(|line| field(line, "worst_delay")).fold(0.0, f64::max);
    assert_eq!((results.lines().count(), delays, worst), (59_603, 2_015_999.0, 437.0));
}

#[test]
fn every_command_in_the_readme_is_one_of_the_binary() {
    let help = String::from_utf8(tidemill(&["--help"]).stdout).unwrap();
    let commands: Vec<_> = README
        .match_indices("`tidemill ")
        .filter_map(|(at, start)| README[at + start.len()..].split([' ', '`']).next())
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not in:\n{help}");
    }
}
