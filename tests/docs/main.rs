//! The reference in `docs/` is made from the code: it says what the code says, or this fails.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes it anew.

#![allow(missing_docs)]

mod api;
mod faults;
mod paths;
mod tables;

use std::path::PathBuf;

/// What every page begins with.
const NOTE: &str = "<!-- Made from the code by `UPDATE_DOCS=1 cargo test --test docs`; change it there. -->";

#[track_caller]
fn is_current(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let text = format!("{NOTE}\n\n{}\n", text.trim());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert!(
        written == text,
        "docs/{name} is not what the code says: run UPDATE_DOCS=1 cargo test --test docs; first: {differs:?}"
    );
}

#[test]
fn the_api_page_matches_the_contract() {
    let page = api::page();
    // The walk over the contract found something: methods, messages, enums, comments of both kinds.
    for found in
        ["### CreateSyncedSecret", "### SecretReference", "ENCODING_HEX", "For example \"username\"."]
    {
        assert!(page.contains(found), "{found}");
    }
    assert!(!page.contains("\n----"), "headings of the file are no comments");
    is_current("api.md", &page);
}

#[test]
fn the_conditions_page_matches_the_model() {
    is_current("conditions.md", &tables::conditions());
}

#[test]
fn the_audit_page_matches_the_model() {
    is_current("audit.md", &tables::audit());
}

#[test]
fn the_configuration_page_matches_its_fields() {
    is_current("configuration.md", &tables::configuration());
}

#[test]
fn the_errors_page_lists_the_errors_of_callers() {
    is_current("errors.md", &tables::errors());
}

#[test]
fn the_errors_page_lists_every_reason_in_the_code() {
    let page = tables::errors();
    let sources = [
        include_str!("../../src/api/error/mapping/mod.rs"),
        include_str!("../../src/api/error/mapping/access.rs"),
        include_str!("../../src/api/error/mapping/edge.rs"),
        include_str!("../../src/api/error/mapping/store.rs"),
        include_str!("../../src/api/error/mapping/vault.rs"),
        include_str!("../../src/api/connection/limit.rs"),
        include_str!("../../src/api/rpc/watch_synced_secrets/stream.rs"),
        include_str!("../../src/api/server/call_layer.rs"),
        include_str!("../../src/api/server/headers.rs"),
    ];
    let is_reason = |text: &&str| {
        text.len() > 4
            && text.contains('_')
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let reasons: Vec<_> = sources.iter().flat_map(|source| source.split('"')).filter(is_reason).collect();
    assert!(reasons.len() > 40, "{reasons:?}");
    for reason in reasons {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}

/// Where the fault matrix stands in a page that is written by hand.
const MATRIX: [&str; 2] = [
    "<!-- The fault matrix is made by `UPDATE_DOCS=1 cargo test --test docs` from tests/docs/faults.rs; change it there. -->",
    "<!-- The end of the fault matrix. -->",
];

#[test]
fn the_fault_matrix_matches_the_tests() {
    let missing = faults::missing();
    assert!(missing.is_empty(), "no test holds these rows any more: {missing:#?}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MATRIX[0]).expect("where it begins");
    let (written, after) = rest.split_once(MATRIX[1]).expect("where it ends");
    let made = format!("\n\n{}\n", faults::matrix());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{}{made}{}{after}", MATRIX[0], MATRIX[1])).unwrap();
        return;
    }
    assert!(
        written == made,
        "docs/reliability.md is not what the tests hold: run UPDATE_DOCS=1 cargo test --test docs"
    );
}
