//! The order of the source tree: who may import whom, how files open, what they may not hold.

use std::fs;
use std::path::{Path, PathBuf};

/// Which parts each part may import. Parts that are not listed may import everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("spec", &["protocol"]),
    ("trace", &["protocol", "time"]),
    ("rules", &["trace", "protocol", "spec", "time"]),
    ("scenario", &["load", "protocol", "spec", "time"]),
    ("engine", &["load", "scenario", "trace", "protocol", "spec", "time"]),
    ("emulator", &["protocol", "spec", "time"]),
    ("load", &["trace", "protocol", "time"]),
    ("report", &["load", "rules", "spec", "trace", "time", "exit"]),
    ("net", &["engine", "emulator", "trace", "protocol", "time"]),
    ("client_load", &["emulator", "load", "protocol", "scenario", "time"]),
    ("simulation", &["engine", "emulator", "load", "scenario", "trace", "protocol", "time"]),
    ("traceability", &["emulator", "engine", "report", "rules", "scenario", "spec"]),
    ("config", &["cli", "engine", "exit", "load", "net", "report", "rules", "scenario"]),
    (
        "run",
        &[
            "cli", "config", "emulator", "engine", "exit", "load", "net", "protocol", "report", "rules", "scenario",
            "spec", "time", "trace",
        ],
    ),
    (
        "prove",
        &[
            "cli",
            "emulator",
            "engine",
            "exit",
            "net",
            "protocol",
            "report",
            "rules",
            "run",
            "scenario",
            "simulation",
            "spec",
            "time",
            "trace",
            "traceability",
        ],
    ),
    ("check", &["exit", "load", "protocol", "report", "rules", "scenario", "spec", "time", "trace"]),
    (
        "serve",
        &[
            "cli",
            "client_load",
            "config",
            "emulator",
            "exit",
            "load",
            "net",
            "protocol",
            "report",
            "rules",
            "run",
            "spec",
            "time",
            "trace",
        ],
    ),
    (
        "receive",
        &["cli", "config", "engine", "exit", "load", "net", "protocol", "report", "rules", "spec", "time", "trace"],
    ),
    (
        "cli",
        &[
            "check",
            "config",
            "emulator",
            "exit",
            "net",
            "prove",
            "receive",
            "report",
            "run",
            "scenario",
            "serve",
            "spec",
            "traceability",
        ],
    ),
    ("exit", &[]),
    ("time", &[]),
];

/// How many lines a function may have, from its signature to its closing brace.
const FUNCTION_LINES: usize = 70;

/// Functions that are longer still. The list only ever gets shorter.
const LONG_FUNCTIONS: &[&str] = &["rules/compare.rs: fn participants(", "rules/msg.rs: fn client_message("];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push((path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the source tree was found");
    found
}

/// The part of a file before its unit tests, which may import more.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("tests") || name.contains("fixtures") || name.contains("bench")
}

#[test]
fn dependencies_point_down_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test(path)) {
        let own = path.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(part, _)| *part == own) else { continue };
        for used in without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for rest in used.split("crate::").skip(1) {
                let part: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if part != own && !part.is_empty() && !allowed.contains(&part.as_str()) {
                    wrong.push(format!("{}: {part}", path.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn files_open_with_a_description_and_stay_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !text.starts_with("//! ") {
            wrong.push(format!("{}: does not open with //!", path.display()));
        }
        if text.lines().count() > 700 {
            wrong.push(format!("{}: longer than 700 lines", path.display()));
        }
        if ["utils.rs", "misc.rs", "helpers.rs", "imp.rs"].contains(&name.as_str()) {
            wrong.push(format!("{}: a name that says nothing", path.display()));
        }
        for banned in ["todo!(", "unimplemented!(", "#[ignore", "#[allow(", "#![allow("] {
            if text.contains(banned) {
                wrong.push(format!("{}: {banned}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_test_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = [folder.clone(), folder.join("program")].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let word = concat!("#[", "ignore = ");
    let left_out = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(word);
    assert_eq!(files.filter(left_out).collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[test]
fn functions_stay_short() {
    let opens = |line: &str| {
        let words = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let words = words.trim_start_matches("pub ").trim_start_matches("const ").trim_start_matches("async ");
        words.starts_with("fn ")
    };
    let mut wrong = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test(path)) {
        let lines: Vec<&str> = without_tests(text).lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| opens(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = lines[at..].iter().position(|line| line.strip_prefix(indent).is_some_and(|rest| rest == "}"));
            if end.is_some_and(|lines| lines >= FUNCTION_LINES) {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_eq!(wrong, LONG_FUNCTIONS);
}

#[test]
fn every_dependency_has_its_reason_in_the_architecture() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let tables = ["dependencies", "dev-dependencies"].iter().filter_map(|name| manifest.get(*name)?.as_table());
    let systems = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let tables = tables.chain(systems.filter_map(|system| system.get("dependencies")?.as_table()));
    let used: Vec<&String> = tables.flat_map(toml::Table::keys).collect();
    let architecture = read("docs/ARCHITECTURE.md");
    let (_, reasons) = architecture.split_once("## Dependencies").expect("there is a list of dependencies");
    let rows = reasons.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let named: Vec<&str> = rows.flat_map(|row| row.split(", ")).filter(|name| *name != "crate").collect();
    let missing: Vec<_> = used.iter().filter(|name| !named.contains(&name.as_str())).collect();
    let stale: Vec<_> = named.iter().filter(|name| !used.iter().any(|known| known == *name)).collect();
    assert!(missing.is_empty() && stale.is_empty(), "without a reason: {missing:?}; no longer used: {stale:?}");
}
