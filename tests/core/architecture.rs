//! The house is in layers: words, decisions in one order, the store's contract, ports, the
//! registrar, adapters. Nothing imports what stands above it, and no files import one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// The modules from the ground up: each may import those before it, and nothing else.
const ORDER: &[&str] = &[
    "vocabulary",
    "access",
    "payment",
    "webhook",
    "evidence",
    "detect",
    "event",
    "notice",
    "monitor",
    "enrollment",
    "statement",
    "approval",
    "reconciliation",
    "store",
    "port",
    "config",
    "readiness",
    "registrar",
    "live",
];
/// Beside the registrar, not above it: these know the ports and the settings.
const BESIDE: &[&str] = &["adapter", "conformance", "guide"];
/// The rooms of the registrar, from the ground up.
const REGISTRAR: &[&str] = &[
    "parts",
    "error",
    "core",
    "builder",
    "webhook",
    "learner",
    "admin",
    "worker",
    "operations",
];

type Module = Vec<String>;

/// The modules, each with its code: no comments, no texts, and nothing from its tests on.
struct House {
    code: BTreeMap<Module, String>,
    /// What each file defines.
    defined: BTreeMap<Module, BTreeSet<String>>,
    /// What each file brings in: whether for others too, under which name, and from where.
    used: BTreeMap<Module, Vec<(bool, String, Module)>>,
}

fn read(folder: &Path, at: &Module, out: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut module = at.clone();
        if path.is_dir() {
            module.push(name);
            read(&path, &module, out);
        } else if path.extension().is_some_and(|it| it == "rs") && name != "lib" {
            if name != "mod" {
                module.push(name);
            }
            out.insert(module, code(&fs::read_to_string(&path).unwrap()));
        }
    }
}

fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let strings = Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap();
    strings.replace_all(&lines, "\"\"").into_owned()
}

/// `{a, b::{c, d}}` as single paths.
fn expand(before: &[String], text: &str, out: &mut Vec<Module>) {
    let text = text.trim();
    let parts = |text: &str| -> Module {
        let parts = text.split("::").map(str::trim).filter(|it| !it.is_empty());
        parts.map(str::to_owned).collect()
    };
    if let Some((head, rest)) = text.split_once('{') {
        let mut before = before.to_vec();
        before.extend(parts(head));
        let (mut depth, mut from) = (0, 0);
        let inner = rest.strip_suffix('}').unwrap_or(rest);
        for (at, letter) in inner.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&before, &inner[from..at], out);
                    from = at + 1;
                }
                _ => {}
            }
        }
        expand(&before, &inner[from..], out);
    } else if !text.is_empty() {
        out.push([before.to_vec(), parts(text)].concat());
    }
}

impl House {
    fn new(code: BTreeMap<Module, String>) -> Self {
        let define = Regex::new(
            r"(?m)^(?:pub(?:\([^)]*\))?\s+)?(?:async\s+|const\s+)*(?:struct|enum|trait|fn|type|const|static)\s+([A-Za-z_]\w*)|macro_rules!\s+(\w+)",
        )
        .unwrap();
        let bring = Regex::new(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap();
        let (mut defined, mut used) = (BTreeMap::new(), BTreeMap::new());
        for (module, text) in &code {
            let names = define.captures_iter(text);
            let names = names.filter_map(|it| it.get(1).or(it.get(2)));
            defined.insert(
                module.clone(),
                names.map(|it| it.as_str().to_owned()).collect(),
            );
            let mut uses = Vec::new();
            for found in bring.captures_iter(text) {
                let mut paths = Vec::new();
                expand(&[], &found[2], &mut paths);
                for mut path in paths {
                    let last = path.pop().unwrap();
                    let (name, shown) = last.split_once(" as ").unwrap_or((&last, &last));
                    path.push(name.to_owned());
                    uses.push((found.get(1).is_some(), shown.to_owned(), path));
                }
            }
            used.insert(module.clone(), uses);
        }
        Self {
            code,
            defined,
            used,
        }
    }

    /// A path as it is written in a module, from the root of the crate; `None` for other crates.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let first = path.first()?.as_str();
        let rest = path[1..].to_vec();
        match first {
            "crate" => Some(rest),
            "self" => Some([module.clone(), rest].concat()),
            "super" => {
                let up = path.iter().take_while(|it| *it == "super").count();
                let above = module[..module.len().checked_sub(up)?].to_vec();
                Some([above, path[up..].to_vec()].concat())
            }
            _ => {
                let own = [module.clone(), vec![first.to_owned()]].concat();
                self.code
                    .contains_key(&own)
                    .then(|| [module.clone(), path.to_vec()].concat())
            }
        }
    }

    /// The file that defines what a path names, through whatever shows it to others.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        let known = (0..=path.len()).rev();
        let at = known
            .map(|end| path[..end].to_vec())
            .find(|it| self.code.contains_key(it))?;
        let Some(name) = path.get(at.len()) else {
            return Some(at);
        };
        if depth > 8 || self.defined[&at].contains(name) {
            return Some(at);
        }
        let shown = self.used[&at].iter().find(|(_, shown, _)| shown == name);
        let further = shown.and_then(|(_, _, path)| self.absolute(&at, path));
        match further {
            Some(further) => self.home(&further, depth + 1),
            None => Some(at),
        }
    }

    /// Which file takes something from which: a file that only shows a name takes nothing.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let inline = Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap();
        let beside = Regex::new(r"(?:^|[^:\w])([a-z_]\w*(?:::\w+)+)").unwrap();
        let uses = Regex::new(r"(?m)^\s*(?:pub(?:\([^)]*\))?\s+)?use\s+[^;]+;").unwrap();
        let mut arrows = BTreeMap::new();
        for (module, text) in &self.code {
            let mut paths: Vec<Module> = Vec::new();
            let own = self.used[module].iter().filter(|(shows, ..)| !shows);
            paths.extend(own.map(|(_, _, path)| path.clone()));
            let body = uses.replace_all(text, "");
            let split = |path: &str| path.split("::").map(str::to_owned).collect::<Module>();
            paths.extend(inline.find_iter(&body).map(|it| split(it.as_str())));
            paths.extend(beside.captures_iter(&body).map(|it| split(&it[1])));
            let homes = paths.iter().filter_map(|path| self.absolute(module, path));
            let homes = homes.filter_map(|path| self.home(&path, 0));
            let taken = homes.filter(|home| home != module && !home.is_empty());
            arrows.insert(module.clone(), taken.collect());
        }
        arrows
    }
}

fn house() -> House {
    let mut code = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&root, &Vec::new(), &mut code);
    House::new(code)
}

/// Files that lead back to themselves.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut found = Vec::new();
    for from in arrows.keys() {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(at) = left.pop() {
            for to in arrows.get(at).into_iter().flatten() {
                if seen.insert(to) {
                    left.push(to);
                }
            }
        }
        if seen.contains(from) {
            found.push(from.join("/"));
        }
    }
    found
}

fn place(list: &[&str], name: &str) -> Option<usize> {
    list.iter().position(|it| *it == name)
}

/// What is wrong with one file's taking from another, if anything.
fn breach(from: &Module, to: &Module) -> bool {
    let (here, there) = (from[0].as_str(), to[0].as_str());
    if here == there {
        // An adapter knows itself and no other.
        return match here {
            "adapter" => from.get(1) != to.get(1),
            "registrar" if from.len() > 1 && to.len() > 1 => {
                place(REGISTRAR, &from[1]) < place(REGISTRAR, &to[1])
            }
            _ => false,
        };
    }
    match (BESIDE.contains(&here), place(ORDER, there)) {
        (_, None) => true,
        (true, Some(there)) => there > place(ORDER, "config").unwrap(),
        (false, Some(there)) => place(ORDER, here).is_none_or(|here| here <= there),
    }
}

#[test]
fn nothing_imports_what_stands_above_it() {
    let mut breaches = Vec::new();
    for (from, taken) in house().arrows() {
        assert!(
            from.is_empty() || ORDER.contains(&&*from[0]) || BESIDE.contains(&&*from[0]),
            "{} has no place in the house yet",
            from[0]
        );
        for to in taken {
            if breach(&from, &to) {
                breaches.push(format!("{} takes from {}", from.join("/"), to.join("/")));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn no_files_import_one_another() {
    let circles = circles(&house().arrows());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_test_itself_sees_what_it_looks_for() {
    let module = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
    let made = [
        ("a", "pub use b::Thing;\npub struct Top;"),
        (
            "a/b",
            "use super::c::{Other, deep::{self, X}};\npub struct Thing;",
        ),
        (
            "a/c",
            "fn f() -> crate::a::Thing { super::b::Thing }\npub struct Other;",
        ),
    ];
    let code = made.map(|(path, text)| (module(path), code(text)));
    let arrows = House::new(code.into()).arrows();
    assert_eq!(arrows[&module("a/b")], [module("a/c")].into());
    assert_eq!(arrows[&module("a/c")], [module("a/b")].into());
    assert!(arrows[&module("a")].is_empty());
    assert_eq!(circles(&arrows), ["a/b", "a/c"]);
    for (from, to, is_breach) in [
        ("detect/rule", "registrar/core", true),
        ("vocabulary/money", "payment", true),
        ("enrollment/case", "event", false),
        ("event", "enrollment/case", true),
        ("adapter/simulator", "adapter/memory/state", true),
        ("adapter/memory/state", "registrar/core", true),
        ("adapter/memory/state", "store/contract", false),
        ("registrar/core", "adapter/memory", true),
        ("registrar/parts/looks", "registrar/core", true),
        ("registrar/worker/run", "registrar/core", false),
    ] {
        assert_eq!(breach(&module(from), &module(to)), is_breach, "{from} {to}");
    }
}

#[test]
fn decisions_are_pure() {
    let last = place(ORDER, "store").unwrap();
    for (module, code) in house().code {
        let Some(true) = module
            .first()
            .map(|it| place(ORDER, it).is_some_and(|at| at < last))
        else {
            continue;
        };
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
            assert!(!code.contains(forbidden), "{module:?} contains {forbidden}");
        }
    }
}

#[test]
fn no_web_framework_and_no_runtime_in_the_library() {
    for (module, code) in house().code {
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
            assert!(!code.contains(forbidden), "{module:?} contains {forbidden}");
        }
        assert!(
            !code.contains("todo!")
                && !code.contains("unimplemented!")
                && !code.contains(".unwrap()"),
            "{module:?}"
        );
    }
}
