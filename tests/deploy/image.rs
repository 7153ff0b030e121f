//! The Dockerfile: what it copies is enough and is there, and its versions are those of Cargo.toml.

use crate::{compose, read, root, text, texts, yaml};
use regex::Regex;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Instructions, one a line, without comments.
fn instructions() -> Vec<String> {
    let joined = read("Dockerfile").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The arguments of every instruction of a kind.
fn all(kind: &str) -> Vec<String> {
    let own = instructions().into_iter();
    own.filter_map(|line| line.strip_prefix(&format!("{kind} ")).map(|rest| rest.trim().to_owned())).collect()
}

/// Paths that come from the repository.
fn copied() -> Vec<String> {
    let copies = all("COPY").into_iter().filter(|copy| !copy.starts_with("--from"));
    let sources = copies.flat_map(|copy| {
        let paths: Vec<_> = copy.split_whitespace().map(str::to_owned).collect();
        paths[..paths.len() - 1].to_vec()
    });
    sources.collect()
}

/// The command of the health check.
pub fn health_check() -> Vec<String> {
    let check = all("HEALTHCHECK").concat();
    texts(&serde_json::from_str(check.split_once("CMD ").unwrap().1).unwrap())
}

#[test]
fn it_builds_with_the_rust_that_the_crate_asks_for() {
    let manifest = read("Cargo.toml");
    let rust = Regex::new(r#"(?m)^rust-version = "([0-9.]+)"$"#).unwrap().captures(&manifest).unwrap()[1].to_owned();
    let (build, run) = (all("FROM")[0].clone(), all("FROM")[1].clone());
    let debian = build.strip_prefix(&format!("rust:{rust}-")).unwrap_or_else(|| panic!("{build} is not Rust {rust}"));
    let debian = debian.strip_suffix(" AS build").unwrap();
    assert_eq!(run, format!("debian:{debian}-slim"), "another glibc than it was linked with");
}

#[test]
fn it_copies_what_is_there_and_what_docker_may_see() {
    let ignore = read(".dockerignore");
    assert!(ignore.lines().any(|line| line == "*"), ".dockerignore hides nothing");
    let copied = copied();
    for path in &copied {
        assert!(root(path).exists(), "COPY {path}: there is no such file");
        assert!(ignore.lines().any(|line| line == format!("!{path}")), "COPY {path}: .dockerignore hides it");
    }
    let seen = ignore.lines().filter_map(|line| line.strip_prefix('!'));
    assert!(seen.clone().all(|path| copied.iter().any(|it| it == path)), "seen, and not copied: {seen:?}");
}

/// Files that the sources pull in from outside `src`, relative to the repository.
fn included(folder: &Path, found: &mut Vec<PathBuf>) {
    let include = Regex::new(r#"include_(?:str|bytes)!\("([^"]+)"\)"#).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            included(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            for file in include.captures_iter(&source) {
                let mut whole = PathBuf::new();
                for part in folder.join(&file[1]).components() {
                    match part {
                        Component::ParentDir => assert!(whole.pop()),
                        part => whole.push(part),
                    }
                }
                found.push(whole.strip_prefix(root("")).unwrap().to_owned());
            }
        }
    }
}

#[test]
fn it_copies_all_that_the_binary_is_made_of() {
    let mut needed = Vec::new();
    included(&root("src"), &mut needed);
    assert!(needed.len() >= 5, "{needed:?}");
    for file in needed {
        assert!(copied().iter().any(|path| file.starts_with(path)), "{} is not copied", file.display());
    }
    // Cargo reads the workspace as the image has it.
    let folder = tempfile::tempdir().unwrap();
    for path in copied() {
        let there = folder.path().join(&path);
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(root(&path), there).unwrap();
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(folder.path());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_runs_as_nobody_on_the_port_of_the_pipelines() {
    assert_eq!(all("USER"), ["65532:65532"]);
    let port = compose::config().http.unwrap().listen.port().to_string();
    assert_eq!(all("EXPOSE").concat(), port);
    assert!(health_check()[2].contains(&format!("/dev/tcp/127.0.0.1/{port} ")));
    let arguments = texts(&serde_json::from_str(&all("CMD").concat()).unwrap());
    let file = compose::file();
    assert_eq!(texts(&file["services"]["worker"]["command"]), arguments);
    assert_eq!(
        yaml("deploy/kubernetes/statefulset.yaml")["spec"]["template"]["spec"]["containers"][0]["args"].to_string(),
        serde_json::to_string(&arguments).unwrap()
    );
}

#[test]
fn the_image_has_the_version_of_the_crate_everywhere() {
    let image = concat!("tidemill:", env!("CARGO_PKG_VERSION"));
    let file = compose::file();
    for name in ["worker", "producer"] {
        assert_eq!(file["services"][name]["image"], image, "{name}");
    }
    assert!(read("Dockerfile").contains(&format!("`docker build -t {image} .`")));
    let kustomization = &yaml("deploy/kubernetes/kustomization.yaml")["images"][0];
    assert_eq!(format!("{}:{}", text(&kustomization["name"]), text(&kustomization["newTag"])), image);
}
