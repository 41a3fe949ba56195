//! The borders that the compiler doesn't hold: which room of `src` may use which, and what the crates beside it may depend on.

#![allow(missing_docs)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

/// The rooms from top to bottom. A room uses rooms of lower layers only: never one above it, never one beside it.
const LAYERS: [&[&str]; 9] = [
    &["cli"],
    &["config"],
    &["api"],
    &["access", "secrets"],
    &["reconcile"],
    &["store", "vault", "edge"],
    &["backoff", "fence", "files", "peer_clock", "telemetry"],
    &["explain", "quote"],
    &["model", "proto"],
];

/// Lower rooms that a room reaches through another one only: room, rooms, how instead.
const NOT_DIRECTLY: [(&str, &[&str], &str); 2] = [
    ("api", &["reconcile", "store", "vault", "edge"], "a use case in `secrets` says what a call means"),
    (
        "access",
        &["reconcile", "store", "vault"],
        "it asks the cluster through `edge`, and an OpenID Connect issuer",
    ),
];

/// What does I/O, by the beginnings of the packages' names: nothing for the model.
const DOES_IO: [&str; 9] =
    ["tokio", "tonic", "kube", "k8s-openapi", "sqlx", "azure_", "reqwest", "hyper", "axum"];

#[test]
fn rooms_depend_on_lower_rooms_only() {
    let root = root().join("src");
    let rooms = rooms(&root);
    let placed: BTreeSet<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    let mut wrong = Vec::new();
    for room in rooms.iter().filter(|room| !placed.contains(room.as_str())) {
        wrong.push(format!(
            "src/{room} has no place in LAYERS: give it one there, and in the map at the top of src/lib.rs"
        ));
    }
    let files = sources(&root);
    assert!(files.len() > 150, "only {} sources were found below {}", files.len(), root.display());
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).unwrap();
        for (line, used) in uses(&text, depth(inside)) {
            if let Some(why) = objection(&room, &used) {
                wrong.push(format!("src/{}:{line}: `{room}` uses `{used}`: {why}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_model_does_no_io_and_the_doubles_know_nothing_of_the_service() {
    for (member, forbidden) in [
        ("model", DOES_IO.as_slice()),
        (
            "doubles/common",
            &["secret-service", "key-vault-double", "kubernetes-double", "secret-store-extension-double"],
        ),
        ("doubles/key-vault", &["secret-service", "kubernetes-double", "secret-store-extension-double"]),
        ("doubles/kubernetes", &["secret-service", "key-vault-double", "secret-store-extension-double"]),
        ("doubles/secret-store-extension", &["secret-service", "key-vault-double", "kubernetes-double"]),
    ] {
        let manifest = fs::read_to_string(root().join("crates").join(member).join("Cargo.toml")).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
        for line in dependencies.lines() {
            let found = forbidden.iter().find(|name| line.starts_with(**name));
            assert!(found.is_none(), "crates/{member}/Cargo.toml: {line}: no {found:?} here");
        }
    }
}

#[test]
fn every_way_to_name_a_room_is_read() {
    let text = "
        use crate::{api::{Limits, store}, edge::{self, secret_store}, vault as key_vault};
        use crate::model::Reference;
        // crate::quote is not used here
        fn a() { crate::store::open(); super::super::reconcile::plan(); super::access::mine() }
        #[cfg(test)]
        mod tests { use crate::cli::Cli; }";
    let found: Vec<String> = uses(text, 2).into_iter().map(|(_, used)| used).collect();
    assert_eq!(found, ["api", "edge", "vault", "model", "store", "reconcile"]);
    assert!(objection("store", "edge").is_some() && objection("edge", "api").is_some());
    assert!(objection("api", "store").is_some() && objection("api", "secrets").is_none());
    assert!(objection("store", "store").is_none(), "its own");
}

/// Why a room may not use another; nothing where it may.
fn objection(room: &str, used: &str) -> Option<String> {
    let layer = |wanted: &str| LAYERS.iter().position(|layer| layer.contains(&wanted));
    if room == used {
        return None;
    }
    let (Some(own), Some(other)) = (layer(room), layer(used)) else { return None };
    if other == own {
        return Some(format!(
            "they stand side by side; who needs both stands above them: {}",
            LAYERS[..own].concat().join(", ")
        ));
    }
    if other < own {
        return Some("dependencies point down, and it stands above".to_owned());
    }
    let (.., instead) = NOT_DIRECTLY.iter().find(|(who, whom, _)| *who == room && whom.contains(&used))?;
    Some(format!("not directly: {instead}"))
}

/// A module of tests at the end of a file: what it uses is its own affair.
static TESTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#\[cfg\(test\)\]\s+(?:pub )?mod \w+ \{").unwrap());
/// A path from the top of the crate, or up from here, with the name that follows, or the group of names.
static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(crate::|(?:super::)+)(\w+|\{)").unwrap());
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+|[{},]").unwrap());

/// The modules at the top of the crate that a text names, with the lines: by `crate::` or by `super::` up to the top.
fn uses(text: &str, depth: usize) -> Vec<(usize, String)> {
    let text = TESTS.split(text).next().unwrap();
    let code = |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() };
    let text = text.lines().map(code).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for path in PATH.captures_iter(&text) {
        let (from, name) = (&path[1], path.get(2).unwrap());
        if from != "crate::" && from.matches("super").count() != depth {
            continue;
        }
        let line = text[..name.start()].matches('\n').count() + 1;
        match name.as_str() {
            "{" => found.extend(firsts(&text[name.end()..]).into_iter().map(|used| (line, used))),
            used => found.push((line, used.to_owned())),
        }
    }
    found
}

/// The first names of the paths in a group, whose opening brace is behind us.
fn firsts(group: &str) -> Vec<String> {
    let (mut open, mut names, mut at_start) = (1, Vec::new(), true);
    for word in WORD.find_iter(group) {
        match word.as_str() {
            "{" => open += 1,
            "}" => open -= 1,
            "," => at_start |= open == 1,
            name if open == 1 && at_start => {
                names.push(name.to_owned());
                at_start = false;
            }
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    names
}

/// How many modules deep a source stands: 1 for a room's own.
fn depth(inside: &Path) -> usize {
    inside.iter().count() - usize::from(inside.ends_with("mod.rs"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the rooms: folders of `src`, or files.
fn rooms(root: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    // An empty folder is what a checkout left behind.
    let rooms = entries.filter(|path| path.is_file() || path.join("mod.rs").exists());
    let names = rooms.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| !["main", "lib", "fuzzing"].contains(&name.as_str())).collect()
}

/// The sources of all rooms, but for tests and what is fuzzed.
fn sources(root: &Path) -> Vec<PathBuf> {
    let is_test = |name: &str| name.contains("test") || name == "fuzzing.rs";
    let (mut directories, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            match path.is_dir() {
                _ if is_test(name) || (directory == root && ["main.rs", "lib.rs"].contains(&name)) => {}
                true => directories.push(path),
                false if name.ends_with(".rs") => files.push(path),
                false => {}
            }
        }
    }
    files
}
