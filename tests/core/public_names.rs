//! The public face stays small: what a host sees first fits one screen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names at the root of the crate, modules apart.
const MOST_AT_ROOT: usize = 60;
/// Names in all public modules together, each counted once, with every feature. 240 is the goal.
const MOST_IN_ALL: usize = 406;

/// What a file shows to others: the names that its `pub use` brings, and what it defines itself.
fn shown(text: &str) -> BTreeSet<String> {
    let uses = regex::Regex::new(r"(?m)^pub use ([^;]+);").unwrap();
    let defines = regex::Regex::new(
        r"(?m)^pub (?:async |const )?(?:struct|enum|trait|fn|type|const|static) ([A-Za-z_]\w*)",
    )
    .unwrap();
    let mut names = BTreeSet::new();
    for found in uses.captures_iter(text) {
        let list = found[1].rsplit_once("::{").map_or_else(
            || found[1].rsplit("::").next().unwrap().to_owned(),
            |(_, list)| list.trim_end_matches('}').to_owned(),
        );
        let list = list.split(',').map(|name| name.trim().to_owned());
        names.extend(list.filter(|name| !name.is_empty() && name != "self"));
    }
    names.extend(defines.captures_iter(text).map(|found| found[1].to_owned()));
    names
}

/// The public modules below a file, each with what it shows.
fn modules(file: &Path, name: &str, out: &mut Vec<(String, BTreeSet<String>)>) {
    let text = fs::read_to_string(file).unwrap();
    out.push((name.to_owned(), shown(&text)));
    let below = regex::Regex::new(r"(?m)^pub mod (\w+);").unwrap();
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "lib" | "mod" => file.parent().unwrap().to_owned(),
        stem => file.with_file_name(stem),
    };
    for found in below.captures_iter(&text) {
        let (alone, inside) = (
            folder.join(format!("{}.rs", &found[1])),
            folder.join(&found[1]).join("mod.rs"),
        );
        let file = if alone.exists() { alone } else { inside };
        modules(&file, &format!("{name}::{}", &found[1]), out);
    }
}

#[test]
fn the_public_face_stays_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let mut found = Vec::new();
    modules(&root, "coursegate", &mut found);
    let types = |names: &BTreeSet<String>| {
        let names = names
            .iter()
            .filter(|name| *name != "reason" && *name != "Readme");
        names.cloned().collect::<BTreeSet<_>>()
    };
    let at_root = types(&found[0].1);
    assert!(
        at_root.len() <= MOST_AT_ROOT,
        "{}: {at_root:#?}",
        at_root.len()
    );
    let all: BTreeSet<String> = found.iter().flat_map(|(_, names)| types(names)).collect();
    assert!(all.len() <= MOST_IN_ALL, "{}: {found:#?}", all.len());
    println!("{} at the root, {} in all", at_root.len(), all.len());
}

#[test]
fn names_are_counted_as_they_are_shown() {
    let text =
        "pub use a::{B, c};\npub use d::E;\npub(crate) use f::G;\npub struct H;\npub fn i() {}\n";
    let names = shown(text).into_iter().collect::<Vec<_>>();
    assert_eq!(names, ["B", "E", "H", "c", "i"]);
}
