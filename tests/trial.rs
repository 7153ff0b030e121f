//! `tidemill test` from outside: shipped pipelines pass their cases, wrong expectations are found and shown, reported and
//! written anew.
//!
//! What is said of the files in `tests/trial` stands beside them. After a wanted change of words,
//! `TIDEMILL_BLESS=1 cargo test --test trial` writes it anew.

use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tidemill::config::{self, cases};
use tidemill::trial;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs the binary in `folder`, so that names of files are the same on every machine.
fn tidemill(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemill")).current_dir(folder).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Compares with the file at `path`, or writes it if that is wished.
fn expect(path: &str, actual: &str) {
    let path = root(path);
    if std::env::var_os("TIDEMILL_BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} differs\n--- is\n{actual}\n--- should be\n{expected}", path.display());
}

/// The test files of the shipped pipelines; there is one for each.
fn shipped() -> Vec<String> {
    let names = std::fs::read_dir(root("config")).unwrap();
    let names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut tests = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".yaml") && !name.ends_with(".test.yaml")) {
        let test = name.replace(".yaml", ".test.yaml");
        assert!(names.contains(&test), "config/{name} has no config/{test}");
        tests.push(format!("config/{test}"));
    }
    tests.sort();
    tests
}

/// The names of the cases of a text that fail, with `config` as its folder.
fn failing(name: &str, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.test.yaml");
    let pipeline = root(&name.replace(".test", ""));
    std::fs::write(&path, format!("pipeline: {}\n{text}", pipeline.display())).unwrap();
    let read = |path: &Path| config::load(path, &|_| None);
    let cases = cases::load(&path, &read).unwrap_or_else(|complaints| panic!("{text}\n{}", complaints[0]));
    let fails = |case: &cases::Case| trial::run(case, &cases.config).unwrap().iter().any(trial::Check::differs);
    cases.cases.iter().filter(|case| fails(case)).map(|case| case.name.clone()).collect()
}

#[test]
fn every_shipped_pipeline_passes_its_cases() {
    let files = shipped();
    let arguments: Vec<&str> = ["test"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = tidemill(&root(""), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(files.len() >= 4 && text(&output).trim_end().ends_with(", 0 failed"), "{}", text(&output));
}

#[test]
fn every_number_and_every_fate_of_a_shipped_expectation_can_fail() {
    let number = Regex::new(r"(?P<before>[a-z_]+: )(?P<number>-?[0-9.]+)(?P<after>[,\s}])").unwrap();
    let fate = Regex::new("fate: [a-z_]+").unwrap();
    let mut changed = 0;
    for name in shipped() {
        let text = std::fs::read_to_string(root(&name)).unwrap();
        assert_eq!(failing(&name, &text), Vec::<String>::new(), "{name}");
        for (index, line) in text.lines().enumerate() {
            let is_row =
                line.trim_start().starts_with("- { key:") && line.contains("window_start") || line.contains("fates:");
            let numbers = if is_row { number.captures_iter(line).collect() } else { Vec::new() };
            let numbers = numbers.into_iter().filter(|found| !found["before"].starts_with("partition"));
            let mut variants: Vec<String> = numbers
                .map(|found| {
                    let at = found.name("number").unwrap().range();
                    format!("{}7{}", &line[..at.start], &line[at.start..])
                })
                .collect();
            variants.extend(line.contains("fate: ").then(|| {
                let wrong = if line.contains("fate: merged") { "fate: late" } else { "fate: merged" };
                fate.replace(line, wrong).into_owned()
            }));
            for variant in variants {
                let mut lines: Vec<&str> = text.lines().collect();
                lines[index] = &variant;
                assert_eq!(failing(&name, &lines.join("\n")).len(), 1, "{name}: nobody minds {variant}");
                changed += 1;
            }
        }
    }
    assert!(changed > 80, "only {changed} expectations were changed");
}

#[test]
fn a_wrong_expectation_is_shown_beside_what_happened_and_fails() {
    let output = tidemill(&root("tests/trial"), &["test", "wrong.test.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    expect("tests/trial/wrong.txt", &text(&output));
}

#[test]
fn the_report_for_ci_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.xml");
    let files = ["wrong.test.yaml", "../../config/page-views.test.yaml", "bad/no-such-pipeline.test.yaml"];
    let output = tidemill(&root("tests/trial"), &[&["test", "--junit", report.to_str().unwrap()], &files[..]].concat());
    assert_eq!(output.status.code(), Some(2), "a file that cannot be used outweighs a case that fails");
    let xml = std::fs::read_to_string(report).unwrap();
    let times = Regex::new("time=\"[0-9]+\\.[0-9]{3}\"").unwrap();
    expect("tests/trial/report.xml", &times.replace_all(&xml, "time=\"0.000\""));
}

#[test]
fn update_writes_what_happened_and_leaves_the_rest_of_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.test.yaml");
    let wrong = std::fs::read_to_string(root("tests/trial/wrong.test.yaml")).unwrap();
    let here = wrong.replace("../../config/flights.yaml", root("config/flights.yaml").to_str().unwrap());
    std::fs::write(&path, &here).unwrap();
    let output = tidemill(folder.path(), &["test", "--update", "wrong.test.yaml"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "what stands inside of braces and what is late by its step cannot be written"
    );
    let after = std::fs::read_to_string(&path).unwrap();
    expect("tests/trial/updated.test.yaml", &after.replace(root("config").to_str().unwrap(), "../../config"));
    expect("tests/trial/updated.txt", &text(&output));
    let again = tidemill(folder.path(), &["test", "--update", "wrong.test.yaml"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), after, "a second update changes nothing");
    assert_eq!(again.status.code(), Some(1));
}

#[test]
fn update_from_nothing_writes_expectations_that_hold() {
    let row = Regex::new(r"(?m)^ +- \{ key: [^\n]*window_start[^\n]*\n").unwrap();
    for name in shipped() {
        let text = std::fs::read_to_string(root(&name)).unwrap();
        let bare = row.replace_all(&text, "").replace("windows:\n", "windows: []\n").replace("open:\n", "open: []\n");
        let folder = tempfile::tempdir().unwrap();
        let pipeline = format!("pipeline: {}\n", root(&name.replace(".test", "")).display());
        std::fs::write(folder.path().join("bare.test.yaml"), pipeline + &bare).unwrap();
        assert_eq!(tidemill(folder.path(), &["test", "bare.test.yaml"]).status.code(), Some(1), "{name}");
        let output = tidemill(folder.path(), &["test", "--update", "bare.test.yaml"]);
        assert_eq!(output.status.code(), Some(0), "{name}\n{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(tidemill(folder.path(), &["test", "bare.test.yaml"]).status.code(), Some(0), "{name}");
    }
}

#[test]
fn only_cases_with_the_text_in_their_names_run() {
    let run = |filter: &str| tidemill(&root("config"), &["test", "--filter", filter, "flights.test.yaml"]);
    let output = run("crash");
    assert_eq!((output.status.code(), text(&output).lines().count()), (Some(0), 3));
    assert_eq!(run("no such case").status.code(), Some(2), "a filter that finds nothing must not look like success");
}

#[test]
fn a_file_that_cannot_be_used_says_what_is_wrong_and_where() {
    for name in ["names.test.yaml", "rows.test.yaml", "no-pipeline.yaml", "no-such-pipeline.test.yaml"] {
        let output = tidemill(&root("tests/trial/bad"), &["test", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        expect(&format!("tests/trial/bad/{}.txt", name.split('.').next().unwrap()), &text(&output));
    }
}

#[test]
fn the_schema_takes_every_shipped_file_and_refuses_what_cannot_be_used() {
    let schema = jsonschema::validator_for(&cases::schema()).unwrap();
    let errors = |path: &str| {
        // Editors have readers of their own; this one has no number that does not fit a double.
        let text = std::fs::read_to_string(root(path)).unwrap().replace("1e999", "1e99").replace(".inf", "inf");
        let yaml_1_2 = serde_saphyr::options! { strict_booleans: true };
        let value = serde_saphyr::from_str_with_options::<serde_json::Value>(&text, yaml_1_2).unwrap();
        schema.iter_errors(&value).map(|error| error.to_string()).collect::<Vec<_>>()
    };
    for name in shipped().into_iter().chain(["tests/trial/wrong.test.yaml".to_owned()]) {
        assert_eq!(errors(&name), Vec::<String>::new(), "{name}");
    }
    for name in ["names.test.yaml", "no-pipeline.yaml"] {
        assert_ne!(errors(&format!("tests/trial/bad/{name}")), Vec::<String>::new(), "{name}");
    }
    let mut printed = Vec::new();
    tidemill::cli::schema::cases(&mut printed).unwrap();
    expect("docs/tidemill.test.schema.json", &String::from_utf8(printed).unwrap());
}

/// The fenced blocks of a page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    page.split(open.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(|it| format!("{it}\n"))
        .collect()
}

#[test]
fn the_example_in_the_documentation_passes_and_its_mistake_looks_as_shown() {
    let page = std::fs::read_to_string(root("docs/testing.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root("config/flights.yaml"), folder.path().join("flights.yaml")).unwrap();
    let (yaml, shown) = (blocks(&page, "yaml"), blocks(&page, "text"));
    std::fs::write(folder.path().join("flights.test.yaml"), &yaml[0]).unwrap();
    let output = tidemill(folder.path(), &["test", "flights.test.yaml"]);
    assert_eq!((text(&output), output.status.code()), (shown[0].clone(), Some(0)));
    let wrong = yaml[0].replace("flights: 2", "flights: 3").replace("window_start: 2h", "window_start: 4h");
    std::fs::write(folder.path().join("flights.test.yaml"), wrong).unwrap();
    assert_eq!(text(&tidemill(folder.path(), &["test", "flights.test.yaml"])), shown[1]);
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let readme = std::fs::read_to_string(root("README.md")).unwrap();
    let output = text(&tidemill(&root(""), &["test", "config/flights.test.yaml"]));
    assert!(readme.contains(&output), "README.md does not show\n{output}");
    let cases = std::fs::read_to_string(root("config/flights.test.yaml")).unwrap();
    assert!(
        cases.contains(&blocks(&readme, "yaml")[1]),
        "README.md shows a case that is not in config/flights.test.yaml"
    );
}
