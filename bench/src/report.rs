//! Where results go: JSON with the machine and the versions that made them, and tables spliced into pages.
//!
//! Knows no question; never measures.

use anyhow::{Context, ensure};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository that the bench was built from.
pub fn root() -> &'static Path {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench)
}

/// What results were measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Cores of the machine.
    pub cores: usize,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0_u64);
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            // What this process may use depends on where it was pinned.
            cores: read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count(),
            memory_bytes: kilobytes * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// Value of the first `name : value` line.
fn field(text: &str, name: &str) -> String {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned()).next().unwrap_or_default()
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Versions {
    /// Commit of this repository, `-dirty` if files had changed.
    pub tidemill: String,
    /// The compiler's version line.
    pub rustc: String,
}

impl Versions {
    /// Those of this checkout.
    pub fn this() -> Self {
        Self {
            tidemill: said(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"])),
            rustc: said(Command::new("rustc").arg("-V")),
        }
    }
}

/// First line of what a command says; empty if it fails.
fn said(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// A file of `bench/results`.
#[derive(Serialize)]
struct Report<'r, T> {
    /// What makes the same file again.
    command: &'r str,
    machine: Machine,
    versions: Versions,
    results: &'r T,
}

/// Writes `bench/results/NAME.json`; `command` is what makes it again.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(name: &str, command: &str, results: &impl Serialize) -> anyhow::Result<()> {
    let report = Report { command, machine: Machine::this(), versions: Versions::this(), results };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    write(&root().join("bench/results").join(format!("{name}.json")), &text)
}

/// Writes a file, and the folders that lead to it.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// A Markdown table: the first column to the left, the others, numbers, to the right.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: &[String; N]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<_> = (0..N).map(|column| if column == 0 { "---" } else { "---:" }).collect();
    let body: String = rows.iter().map(line).collect();
    format!("| {} |\n| {} |\n{body}", head.join(" | "), rule.join(" | "))
}

/// Puts `text` between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` of a page, given from the root.
///
/// # Errors
/// The page or its markers are missing.
pub fn splice(page: &str, name: &str, text: &str) -> anyhow::Result<()> {
    let path: PathBuf = root().join(page);
    let before = fs::read_to_string(&path).with_context(|| page.to_owned())?;
    write(&path, &spliced(&before, name, text).with_context(|| page.to_owned())?)
}

fn spliced(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let (opens, closes) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let (head, rest) = page.split_once(&opens).with_context(|| format!("no line {}", opens.trim_end()))?;
    let (_, tail) = rest.split_once(&closes).with_context(|| format!("no {closes} after {}", opens.trim_end()))?;
    ensure!(!tail.contains(&opens), "{} is there twice", opens.trim_end());
    Ok(format!("{head}{opens}\n{}\n\n{closes}{tail}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_markers_is_replaced_and_nothing_else_is() {
        let page = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n<!-- bench:y -->\n<!-- /bench:y -->\n";
        let once = spliced(page, "x", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\nb\n<!-- bench:y -->\n<!-- /bench:y -->\n");
        assert_eq!(spliced(&once, "x", "new").unwrap(), once);
        for (page, complaint) in [
            ("no markers", "no line <!-- bench:x -->"),
            ("<!-- bench:x -->\n", "no <!-- /bench:x --> after <!-- bench:x -->"),
            ("<!-- bench:x -->\n<!-- /bench:x -->\n<!-- bench:x -->\n", "<!-- bench:x --> is there twice"),
        ] {
            assert_eq!(spliced(page, "x", "").unwrap_err().to_string(), complaint);
        }
    }

    #[test]
    fn a_table_has_its_numbers_on_the_right() {
        let rows = [["a".to_owned(), "1".to_owned()]];
        assert_eq!(table(["", "n"], &rows), "|  | n |\n| --- | ---: |\n| a | 1 |\n");
    }

    #[test]
    fn the_machine_and_the_versions_are_named() {
        let (machine, versions) = (Machine::this(), Versions::this());
        assert!(machine.cores > 0 && machine.memory_bytes > 1 << 20 && !machine.kernel.is_empty(), "{machine:?}");
        assert!(versions.rustc.starts_with("rustc "), "{versions:?}");
        assert_eq!(field("a : 1\nmodel name\t: Some CPU\n", "model name"), "Some CPU");
    }
}
