//! The rules of the house that no compiler knows, checked against the tree; each refusal says what to do instead.
//!
//! Code means: no comments, nothing below `#[cfg(test)] mod` (or loom's), no file of tests.

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Modules that everybody may use: the words of the house.
const GROUND: [&str; 5] = ["broker", "clock", "config", "error", "fate"];

/// What each module may use besides [`GROUND`]: arrows point from the edge of the process to its core.
const ARROWS: &[(&str, &[&str])] = &[
    ("broker", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("error", &[]),
    ("fate", &[]),
    ("heap", &[]),
    ("pool", &[]),
    ("budget", &["pool"]),
    ("decode", &["pool"]),
    ("aggregate", &["decode", "pool"]),
    ("window", &["aggregate", "decode", "pool"]),
    ("encode", &["aggregate", "decode", "pool", "window"]),
    ("partitioner", &[]),
    ("checkpoint", &["window"]),
    ("recent", &["aggregate", "encode", "window"]),
    ("task", &["aggregate", "checkpoint", "decode", "encode", "pool", "recent", "window"]),
    ("status", &[]),
    ("logs", &[]),
    ("metrics", &["budget", "pool", "status"]),
    ("traces", &["logs", "metrics"]),
    ("instance", &[]),
    (
        "lane",
        &[
            "aggregate",
            "budget",
            "checkpoint",
            "decode",
            "encode",
            "logs",
            "metrics",
            "partitioner",
            "pool",
            "recent",
            "task",
            "traces",
            "window",
        ],
    ),
    ("kafka", &["budget", "instance", "logs", "metrics"]),
    ("sim", &["logs"]),
    ("http", &["heap", "logs", "metrics", "recent", "status"]),
    (
        "worker",
        &["budget", "checkpoint", "http", "instance", "lane", "logs", "metrics", "pool", "recent", "status", "task"],
    ),
    ("plan", &["aggregate", "budget", "decode", "pool", "window"]),
    ("trial", &["lane", "recent", "sim", "status", "task", "worker"]),
    ("cli", &["*"]),
    ("main", &["*"]),
];

/// What code may not say, where it may all the same (by prefix of the path), and what to do instead.
const BANS: [(&str, &[&str], &str); 5] = [
    (r"\brdkafka(_sys)?\s*::", &["src/kafka"], "go through broker::Broker: only src/kafka names rdkafka"),
    (
        r"\b(Instant|SystemTime)::now\b",
        &["src/clock.rs", "src/kafka", "src/http/door.rs", "src/http/windows.rs", "src/sim/client.rs"],
        "take a clock::Clock: the simulation turns the hands",
    ),
    (r"\be?print(ln)?!", &["src/cli", "src/main.rs"], "log with tracing, or return the text to cli"),
    (r"\.unwrap\(\)", &[], "return an error, or name the impossible case; `// OK: reason` where neither can be"),
    (r"\.expect\(", &[], "return an error, or name the impossible case; `// OK: reason` where neither can be"),
];

/// Longest file in lines; a longer one holds two nouns.
const LINES_MAX: usize = 400;

/// Files that are longer, with their length in lines. The numbers only shrink.
const LONG: &[(&str, usize)] = &[];

/// A file on [`LONG`] that has shrunk by more lines than this must say so there.
const SLACK: usize = 20;

/// A file of the tree: path from the root with slashes, and text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The top-level module that it belongs to.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap_or(path)
    }

    /// Lines of code with their numbers; see the top of this file.
    fn code(&self) -> Vec<(usize, &str)> {
        let tests = ["/tests.rs", "/loomed.rs"];
        if tests.iter().any(|name| self.path.ends_with(name)) || self.path.contains("/tests/") {
            return Vec::new();
        }
        let lines: Vec<_> = self.text.lines().collect();
        let is_mod = |line: &str| line.trim_start().trim_start_matches("pub ").starts_with("mod ");
        let gated = |line: &str| ["#[cfg(test)]", "#[cfg(all(test, "].iter().any(|gate| line.trim().starts_with(gate));
        let is_test = |pair: &[&str]| gated(pair[0]) && is_mod(pair[1]);
        let end = lines.windows(2).position(is_test).unwrap_or(lines.len());
        let numbered = (1..).zip(lines).take(end);
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//")).collect()
    }

    fn at(&self, line: usize, complaint: &str) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }
}

fn opens_with_its_purpose(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    if opens { vec![] } else { vec![source.at(1, "open with `//!`: what this file is, and what it never does")] }
}

fn arrows(source: &Source) -> Vec<String> {
    let module = source.module();
    if module == "lib" {
        return vec![];
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![source.at(1, &format!("{module} is new: give it a place in ARROWS of tests/tidy.rs"))];
    };
    let code = source.code();
    let text: String = code.iter().map(|(_, line)| format!("{line}\n")).collect();
    let one = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let many = Regex::new(r"\bcrate::\{([^;]*)\};").unwrap();
    let first = Regex::new(r"(?:^|,)\s*([a-z_]+)").unwrap();
    let nested = Regex::new(r"\{[^{}]*\}").unwrap();
    let mut used: BTreeSet<String> = one.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    for group in many.captures_iter(&text) {
        let group = nested.replace_all(&group[1], "").into_owned();
        used.extend(first.captures_iter(&group).map(|found| found[1].to_owned()));
    }
    let may = |name: &str| name == module || GROUND.contains(&name) || allowed.contains(&name) || allowed == &["*"];
    let wrong = used.into_iter().filter(|name| !may(name));
    wrong
        .map(|name| {
            let line = code.iter().find(|(_, line)| line.contains(&name)).map_or(1, |(number, _)| *number);
            source
                .at(line, &format!("{module} may not use {name} (ARROWS in tests/tidy.rs): hand it in as an argument"))
        })
        .collect()
}

fn bans(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.text.lines().collect();
    let excused = |number: usize| lines[number.saturating_sub(2)..number].iter().any(|line| line.contains("// OK: "));
    let mut complaints = Vec::new();
    for (pattern, exempt, instead) in BANS {
        let pattern = Regex::new(pattern).unwrap();
        if exempt.iter().any(|prefix| source.path.starts_with(prefix)) {
            continue;
        }
        for (number, line) in source.code() {
            let code = line.split("//").next().unwrap_or(line);
            if pattern.is_match(code) && !excused(number) {
                complaints.push(source.at(number, &format!("{}: {instead}", code.trim())));
            }
        }
    }
    complaints
}

fn length(source: &Source, long: &[(&str, usize)]) -> Vec<String> {
    let lines = source.text.lines().count();
    let listed = long.iter().find(|(path, _)| *path == source.path).map(|(_, lines)| *lines);
    let complaint = match listed {
        None if lines > LINES_MAX => format!("{lines} lines: split it by noun, {LINES_MAX} are enough"),
        Some(_) if lines <= LINES_MAX => "short enough now: take it off LONG in tests/tidy.rs".to_owned(),
        Some(listed) if lines > listed => {
            format!("{lines} lines, {listed} in LONG of tests/tidy.rs: it may only shrink")
        }
        Some(listed) if lines + SLACK < listed => format!("{lines} lines now: say so in LONG of tests/tidy.rs"),
        _ => return vec![],
    };
    vec![source.at(lines, &complaint)]
}

/// Relative links of a Markdown file that lead nowhere.
fn links(page: &Source, root: &Path) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let inline_code = Regex::new("`[^`]*`").unwrap();
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    for (number, line) in prose(&page.text) {
        let line = inline_code.replace_all(line, "");
        for target in link.captures_iter(&line).map(|found| found[1].to_owned()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { root.join(&page.path) } else { root.join(folder).join(file) };
            if !path.exists() {
                complaints.push(page.at(number, &format!("{target} leads to no file of this repository")));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(&path).unwrap_or_default()).contains(anchor) {
                complaints.push(page.at(number, &format!("{target} leads to no heading of {}", path.display())));
            }
        }
    }
    complaints
}

/// Lines outside code fences, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Headings as they are linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|(_, line)| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    headings
        .map(|heading| {
            let kept = heading.to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

fn machine_paths(source: &Source) -> Vec<String> {
    let homes = Regex::new(concat!(r"(^|[^\w./])/(", "work|root|home|Users", r")/")).unwrap();
    let lines = (1..).zip(source.text.lines()).filter(|(_, line)| homes.is_match(line));
    lines.map(|(number, _)| source.at(number, "a path of one machine: write it relative to the repository")).collect()
}

/// Text files of the repository below `folder`, build output and hidden folders left out (but not CI's).
fn tree(folder: &str) -> Vec<Source> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name == ".ci" || !(name.starts_with('.') || name == "target" || name == "node_modules") {
                    walk(root, &path, found);
                }
            } else if name != ".git"
                && fs::metadata(&path).is_ok_and(|meta| meta.len() < 1 << 20)
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push(Source::of(&path.strip_prefix(root).unwrap().to_string_lossy(), &text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(root, &root.join(folder), &mut found);
    found
}

#[track_caller]
fn nothing_wrong(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_source_file_keeps_the_rules() {
    let sources = tree("src");
    assert!(sources.len() > 10, "the sources were not found");
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    nothing_wrong(rust.flat_map(|source| {
        [opens_with_its_purpose(source), arrows(source), bans(source), length(source, LONG)].concat()
    }));
    let gone = LONG.iter().filter(|(path, _)| !sources.iter().any(|source| source.path == *path));
    nothing_wrong(gone.map(|(path, _)| format!("{path} is gone: take it off LONG in tests/tidy.rs")));
}

#[test]
fn every_relative_link_leads_somewhere() {
    let pages: Vec<_> = tree("").into_iter().filter(|source| source.path.ends_with(".md")).collect();
    assert!(pages.iter().any(|page| page.path == "README.md"), "the pages were not found");
    nothing_wrong(pages.iter().flat_map(|page| links(page, Path::new(env!("CARGO_MANIFEST_DIR")))));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    nothing_wrong(tree("").iter().flat_map(machine_paths));
}

#[test]
fn planted_faults_are_found() {
    let complaints = |path: &str, text: &str| {
        let source = Source::of(path, text);
        [opens_with_its_purpose(&source), arrows(&source), bans(&source)].concat().len()
    };
    for (path, text, expected) in [
        ("src/decode.rs", "//! x\nuse crate::config::Pipeline;\n", 0),
        ("src/decode.rs", "use crate::config::Pipeline;\n", 1),
        ("src/decode.rs", "//! x\nuse crate::task::Task;\n", 1),
        ("src/decode/json.rs", "//! x\nuse crate::{\n    clock::{self, Clock},\n    task,\n};\n", 1),
        (
            "src/decode.rs",
            "//! x [`crate::task`]\n/// [`crate::lane`]\n#[cfg(test)]\nmod tests {\nuse crate::task;\n",
            0,
        ),
        ("src/pool.rs", "//! x\n#[cfg(all(test, loom))]\nmod tests {\nx.unwrap();\n", 0),
        ("src/novelty.rs", "//! x\n", 1),
        ("src/cli/demo.rs", "//! x\nuse crate::task;\nprintln!();\n", 0),
        ("src/task.rs", "//! x\nlet x = rdkafka::Message::new();\nprintln!();\nInstant::now();\n", 3),
        ("src/kafka/queue.rs", "//! x\nrdkafka_sys::poll(Instant::now());\n", 0),
        ("src/task.rs", "//! x\nx.unwrap();\nx.expect(\"y\");\n", 2),
        ("src/task.rs", "//! x\n// OK: checked above\nx.unwrap();\nx.unwrap_or(1); // .unwrap()\n", 0),
        ("src/task/tests.rs", "//! x\nx.unwrap();\n", 0),
    ] {
        assert_eq!(complaints(path, text), expected, "{path}: {text}");
    }
    let lines = |count: usize| Source::of("src/a.rs", &"x\n".repeat(count));
    for (count, long, expected) in [
        (400, None, 0),
        (401, None, 1),
        (450, Some(450), 0),
        (451, Some(450), 1),
        (440, Some(450), 0),
        (429, Some(450), 1),
        (400, Some(450), 1),
    ] {
        let long: Vec<_> = long.map(|listed| ("src/a.rs", listed)).into_iter().collect();
        assert_eq!(length(&lines(count), &long).len(), expected, "{count} lines, {long:?}");
    }
    let machine = ["see /", "home/me/x"].concat();
    assert_eq!(machine_paths(&Source::of("README.md", &machine)).len(), 1);
    assert_eq!(machine_paths(&Source::of("README.md", "a/work/b and https://x/home/y")).len(), 0);
    let page =
        "# A b: c\n[1](tests/tidy.rs) [2](#a-b-c) [3](http://x)\n```\n[4](nowhere)\n```\n[5](nowhere.md) [6](#d)\n";
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/tidy.rs"), "").unwrap();
    fs::write(folder.path().join("page.md"), page).unwrap();
    assert_eq!(links(&Source::of("page.md", page), folder.path()).len(), 2);
}
