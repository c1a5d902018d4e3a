//! The imports point one way: words <- decisions <- ports <- registrar and adapters.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const WORDS: &[&str] = &["ids", "money", "secret", "reason"];
const DECISIONS: &[&str] = &[
    "payment",
    "webhook",
    "evidence",
    "detect",
    "approval",
    "audit",
    "enrollment",
    "access",
    "record",
    "notice",
    "monitor",
    "statement",
];

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules named behind `crate::`, two steps deep for adapters.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let name = |text: &str| {
            text.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        };
        let first = name(part);
        let second = part[first.len()..]
            .strip_prefix("::")
            .map(name)
            .filter(|second| first == "adapter" && !second.is_empty());
        found.insert(second.map_or(first.clone(), |second| format!("{first}/{second}")));
    }
    found
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let relative = |path: &PathBuf| {
        path.strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/")
    };
    paths
        .iter()
        .map(|path| (relative(path), code(path)))
        .collect()
}

fn top(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// What a file may import.
fn allowed(file: &str, import: &str) -> bool {
    let words = WORDS.contains(&import);
    let decisions = words || DECISIONS.contains(&import);
    let ports = decisions || import == "port";
    match top(file) {
        "lib" => true,
        top if WORDS.contains(&top) => words,
        top if DECISIONS.contains(&top) => decisions,
        "port" => ports,
        "config" => decisions,
        "readiness" => ports || import == "config",
        "registrar" => ports || ["config", "readiness", "registrar"].contains(&import),
        "adapter" => {
            let own = file.split('/').take(2).collect::<Vec<_>>().join("/");
            ports || own.trim_end_matches(".rs") == import
        }
        "conformance" => ports,
        "live" => ports || ["registrar", "readiness"].contains(&import),
        other => panic!("{other} has no place in the architecture yet"),
    }
}

#[test]
fn imports_point_one_way() {
    let mut breaches = Vec::new();
    for (file, code) in files() {
        for import in imports(&code) {
            if !allowed(&file, &import) {
                breaches.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn the_test_itself_sees_a_breach() {
    assert_eq!(
        imports("use crate::registrar::Registrar; crate::adapter::memory::X"),
        ["adapter/memory", "registrar"].map(String::from).into()
    );
    assert!(!allowed("detect/rule.rs", "registrar"));
    assert!(!allowed("money.rs", "payment"));
    assert!(!allowed("adapter/simulator/mod.rs", "adapter/memory"));
    assert!(!allowed("adapter/memory/state.rs", "registrar"));
    assert!(!allowed("registrar/admin.rs", "adapter/memory"));
    assert!(allowed("adapter/memory/state.rs", "port"));
}

#[test]
fn decisions_are_pure() {
    for (file, code) in files() {
        if !(WORDS.contains(&top(&file)) || DECISIONS.contains(&top(&file))) {
            continue;
        }
        for forbidden in [
            "async ",
            ".await",
            "Utc::now",
            "time::Instant",
            "SystemTime",
            "std::net::Tcp",
            "std::fs",
            "std::env",
        ] {
            assert!(!code.contains(forbidden), "{file} contains {forbidden}");
        }
    }
}

#[test]
fn no_web_framework_and_no_runtime_in_the_library() {
    for (file, code) in files() {
        for forbidden in [
            "axum",
            "actix",
            "hyper::",
            "tower::",
            "tokio",
            "http::Request",
        ] {
            // Its channels need no runtime.
            let code = code.replace("tokio::sync", "");
            assert!(!code.contains(forbidden), "{file} contains {forbidden}");
        }
        assert!(
            !code.contains("todo!")
                && !code.contains("unimplemented!")
                && !code.contains(".unwrap()"),
            "{file}"
        );
    }
}
