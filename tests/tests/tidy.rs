//! Our own rules, which no compiler checks: crate directions, first lines, names of files and folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the house; a crate depends on crates of lower floors only.
const FLOORS: &[(&str, u32)] = &[
    ("ferry-sys", 0),
    ("ferry-oci", 1),
    ("ferry-store", 10),
    ("ferry-runtime", 10),
    ("ferry-net", 10),
    ("ferry-registry", 15),
    ("ferry-build", 20),
    ("ferry-engine", 30),
    ("ferry-daemon", 40),
    ("ferry", 50),
];

/// Crates that start no executor: async begins above them.
const SYNCHRONOUS: &[&str] = &["ferry-sys", "ferry-oci", "ferry-store", "ferry-runtime", "ferry-net"];

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff",
];

const MAX_LINES: usize = 900;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_owned()
}

fn crates() -> BTreeMap<String, PathBuf> {
    let folders = fs::read_dir(workspace().join("crates")).expect("there is a folder crates/");
    folders
        .map(|entry| entry.expect("crates/ can be read").path())
        .map(|path| {
            (
                path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                path,
            )
        })
        .collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in ["crates", "tests", "fuzz"] {
        rust_files(&workspace().join(root), &mut found);
    }
    found
}

fn report(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn dependencies_point_down() {
    let floors: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let mut broken = Vec::new();
    for (name, path) in crates() {
        let Some(own) = floors.get(name.as_str()) else {
            broken.push(format!("{name} has no floor in this test"));
            continue;
        };
        let manifest = fs::read_to_string(path.join("Cargo.toml")).expect("a crate has a manifest");
        let normal = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let normal = normal.split("\n[").next().unwrap_or_default();
        for line in normal.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if floors.get(dependency).is_some_and(|floor| floor >= own) {
                broken.push(format!("{name} depends on {dependency}"));
            }
            if ["tokio", "async-trait", "futures-util"].contains(&dependency) && SYNCHRONOUS.contains(&name.as_str()) {
                broken.push(format!("{name} is synchronous and depends on {dependency}"));
            }
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') && !line.contains("workspace = true") {
                broken.push(format!("{name}: dependencies are named in the workspace: {line}"));
            }
        }
    }
    report("dependencies point down only", broken);
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("the workspace has a manifest");
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let lines = table
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with("ferry-"));
    let broken = lines.filter(|line| !line.contains("# ")).map(str::to_owned).collect();
    report("each dependency has a one-line reason", broken);
}

#[test]
fn every_file_says_what_it_is_for() {
    let is_documented = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file is text");
        text.starts_with("//! ")
    };
    let broken = all_rust_files().into_iter().filter(|path| !is_documented(path));
    report(
        "the first line of a file is a //! sentence",
        broken.map(|path| path.display().to_string()).collect(),
    );
}

#[test]
fn files_hold_one_concept() {
    let too_long = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.lines().count() > MAX_LINES);
    let broken = all_rust_files().into_iter().filter(too_long);
    report(
        "no file is longer than 900 lines",
        broken.map(|path| path.display().to_string()).collect(),
    );
}

#[test]
fn names_say_what_is_inside() {
    let is_drawer = |path: &PathBuf| {
        let named = path.with_extension("");
        named
            .components()
            .any(|part| DRAWERS.iter().any(|drawer| part.as_os_str() == *drawer))
    };
    let root = workspace();
    let relative = |path: PathBuf| path.strip_prefix(&root).map(Path::to_owned).unwrap_or(path);
    let broken = all_rust_files().into_iter().map(relative).filter(is_drawer);
    report(
        "no drawer modules",
        broken.map(|path| path.display().to_string()).collect(),
    );
}

#[test]
fn unsafe_stays_in_one_crate() {
    let mut broken = Vec::new();
    for path in all_rust_files() {
        if path.components().any(|part| part.as_os_str() == "ferry-sys") || path.ends_with("tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file is text");
        let uses = |line: &&str| {
            ["unsafe {", "unsafe fn", "unsafe impl"]
                .iter()
                .any(|word| line.contains(word))
        };
        broken.extend(
            text.lines()
                .filter(uses)
                .map(|line| format!("{}: {line}", path.display())),
        );
    }
    report("unsafe code lives in ferry-sys", broken);
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["todo!(", "unimplemented!(", "FIX\u{4d}E", "#[ign\u{6f}re]"];
    let mut broken = Vec::new();
    for path in all_rust_files().into_iter().filter(|path| !path.ends_with("tidy.rs")) {
        let text = fs::read_to_string(&path).expect("a source file is text");
        let marked = text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark)));
        broken.extend(marked.map(|line| format!("{}: {line}", path.display())));
    }
    report("no unfinished marks", broken);
}
