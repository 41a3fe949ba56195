//! What the pages name is there: files in backticks, and the targets of links.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// Where pages stand. What others made or what is built is not ours.
const ROOTS: [&str; 5] = [".", "docs", "crates", "clients", "deploy"];
const NOT_OURS: [&str; 4] = ["node_modules", "target", "dist", ".venv"];

fn pages(directory: &Path, is_deep: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && is_deep && !NOT_OURS.contains(&name.as_str()) {
            pages(&path, true, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((names, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    names.split(',').map(|name| format!("{before}{name}{after}")).collect()
}

/// All that a page names and that is not there.
fn missing(root: &Path, page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let folders = "src|tests|crates|docs|scripts|benches|fuzz|deploy|examples|migrations|proto|clients";
    let named = Regex::new(&format!(r"`((?:{folders})/[\w./{{}},-]+)`")).unwrap();
    let linked = Regex::new(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)").unwrap();
    let files = named.captures_iter(&text).flat_map(|found| expanded(&found[1])).map(|path| root.join(path));
    let targets = linked.captures_iter(&text).map(|found| page.parent().unwrap().join(&found[1]));
    files
        .chain(targets)
        .filter(|path| !path.exists())
        .map(|path| format!("{} names {}", page.display(), path.display()))
        .collect()
}

#[test]
fn every_path_named_in_the_docs_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ROOTS {
        pages(&root.join(folder), folder != ".", &mut all);
    }
    assert!(all.len() > 20, "{all:?}");
    let missing: Vec<_> = all.iter().flat_map(|page| missing(root, page)).collect();
    assert!(missing.is_empty(), "rename it there, too:\n{}", missing.join("\n"));
}
