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
    "reconciliation",
    "enrollment",
    "access",
    "event",
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
            // A client may be made with the settings of the installation.
            ports || import == "config" || own.trim_end_matches(".rs") == import
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

/// Public methods of `Admin` that need no permission: this one tells what somebody may do.
const UNASKED: &[&str] = &["may"];

/// The public methods in every `impl Admin`, each with its body.
fn methods_of_admin(source: &str) -> Vec<(String, String)> {
    let mut methods: Vec<(String, String)> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for line in source.lines() {
        if line.starts_with("impl") {
            inside = line.contains("Admin<") && !line.contains(" for ");
            open = false;
        }
        if !inside {
            continue;
        }
        let head = ["pub fn ", "pub async fn ", "pub const fn "];
        let name = head
            .iter()
            .find_map(|head| line.strip_prefix("    ")?.strip_prefix(head));
        if let Some(name) = name {
            let name = name.split(['(', '<']).next().unwrap().to_owned();
            methods.push((name, String::new()));
            open = true;
        }
        if open {
            let body = &mut methods.last_mut().unwrap().1;
            body.push_str(line);
            body.push('\n');
            open = line != "    }";
        }
    }
    methods
}

/// The public methods that do something before they ask for a permission, or never ask.
fn unasked(source: &str) -> Vec<String> {
    let methods = methods_of_admin(source);
    // Nothing is read, written or looked up before the question: each of these would wait, or go
    // through the registrar.
    let asks_first = |body: &str, question: &str| {
        body.split_once(question).is_some_and(|(before, after)| {
            let before = before.split_once('{').map_or("", |(_, before)| before);
            let (waits, reaches) = (before.contains(".await"), before.contains("registrar"));
            !waits && !reaches && after.contains(".await")
        })
    };
    let mut asked: BTreeSet<String> = BTreeSet::new();
    loop {
        let more: Vec<String> = methods
            .iter()
            .filter(|(name, body)| {
                let delegates = |to: &String| asks_first(body, &format!("self.{to}("));
                !asked.contains(name)
                    && (asks_first(body, "self.allow(") || asked.iter().any(delegates))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        asked.extend(more);
    }
    let names = methods.into_iter().map(|(name, _)| name);
    names
        .filter(|name| !asked.contains(name) && !UNASKED.contains(&name.as_str()))
        .collect()
}

#[test]
fn every_call_of_the_desk_asks_for_a_permission_before_anything_else() {
    let sources: String = files()
        .into_iter()
        .filter(|(file, _)| top(file) == "registrar")
        .map(|(_, code)| code + "\n")
        .collect();
    let found = methods_of_admin(&sources).len();
    assert!(found > 35, "only {found} methods were found");
    assert_eq!(unasked(&sources), Vec::<String>::new());
}

#[test]
fn a_call_of_the_desk_that_does_not_ask_is_found() {
    let source = "
impl Admin<'_> {
    pub fn may(&self) -> bool {
        true
    }

    pub async fn asks(&self, note: impl Into<Note>) -> Result<(), Error> {
        let note = note.into();
        self.allow(Permission::View, None).await?;
        self.registrar.work(note).await
    }

    pub async fn delegates(&self) -> Result<(), Error> {
        Ok(self.asks(\"\").await?)
    }

    pub async fn never_asks(&self) -> Result<(), Error> {
        self.registrar.work().await
    }

    pub fn looks(&self) -> usize {
        self.registrar.inner.size
    }

    pub async fn reads_first(&self) -> Result<(), Error> {
        let found = self.registrar.read().await?;
        self.allow(Permission::View, None).await?;
        Ok(found)
    }

    pub async fn delegates_to_one_that_does_not(&self) -> Result<(), Error> {
        self.never_asks().await
    }

    async fn own(&self) {}
}

impl<'a> Admin<'a> {
    pub async fn in_another_block(&self) -> Result<(), Error> {
        self.registrar.work().await
    }
}

impl Registrar {
    pub async fn of_somebody_else(&self) {}
}
";
    assert_eq!(
        unasked(source),
        [
            "never_asks",
            "looks",
            "reads_first",
            "delegates_to_one_that_does_not",
            "in_another_block"
        ]
    );
}
