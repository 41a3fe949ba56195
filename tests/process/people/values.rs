//! Values from standard input, a file or a hidden prompt; and what is asked at a terminal.

use std::process::Stdio;

use super::{pipe, say};
use crate::{
    process,
    support::{PATIENCE, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn one_trailing_newline_of_stdin_is_dropped_and_a_file_is_read_unchanged() {
    let world = World::start().await;
    let file = world.directory().join("value");
    std::fs::write(&file, "of a file\n").unwrap();
    let file = file.to_str().unwrap();
    let stdin = ["--value-file", "-"];
    for (name, input, arguments, value) in [
        ("bare", "v", stdin.as_slice(), "v"),
        ("unix", "v\n", &stdin, "v"),
        ("windows", "v\r\n", &stdin, "v"),
        ("two", "v\n\n", &stdin, "v\n"),
        ("kept", "v\n", &["--value-file", "-", "--keep-newline"], "v\n"),
        ("file", "", &["--value-file", file], "of a file\n"),
    ] {
        pipe(&world, input, &[&["vault", "create", name], arguments].concat()).await.ok();
        assert_eq!(world.somebody.reads(name).await, value, "{name}");
    }
    let empty = pipe(&world, "\n", &["vault", "create", "empty", "--value-file", "-"]).await.failed(2);
    assert!(empty.contains("empty"), "{empty}");
    let nowhere = say(&world, &["vault", "create", "nowhere"]).await.failed(2);
    assert!(nowhere.contains("--value-file"), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_rotated_in_the_encoding_that_the_vault_secret_has() {
    let world = World::start().await;
    let file = world.directory().join("file");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "pump").unwrap();
    pipe(&world, "text", &["vault", "create", "text", "--value-file", "-"]).await.ok();
    say(&world, &["vault", "create", "hex", "--data-file", path]).await.ok();
    let base64 = ["--data-file", path, "--tag", "file-encoding=base64"];
    say(&world, &[&["vault", "create", "base64"], base64.as_slice()].concat()).await.ok();
    for bytes in ["valve", "motor"] {
        std::fs::write(&file, bytes).unwrap();
        for (name, stored) in [("text", bytes.to_owned()), ("hex", hex::encode(bytes))] {
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            say(&world, &["vault", "rotate", name, "--data-file", path]).await.ok();
            assert_eq!(world.somebody.reads(name).await, stored, "{name}");
        }
    }
    say(&world, &["vault", "rotate", "base64", "--data-file", path]).await.ok();
    assert_eq!(world.somebody.reads("base64").await, "bW90b3I=");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_prints_a_value() {
    const VALUE: &str = "canary-5e1f";
    let world = World::start().await;
    let create = ["secrets", "create", "a", "--new", "k=fresh", "--value-file", "k=-"];
    let mut said = vec![pipe(&world, VALUE, &create).await];
    said.push(pipe(&world, VALUE, &["vault", "rotate", "fresh", "--value-file", "-"]).await);
    // Again: the name is taken, and the error has the request at hand.
    said.push(pipe(&world, VALUE, &create).await);
    for output in ["table", "json", "yaml", "name"] {
        for arguments in [
            ["secrets", "get", "a"].as_slice(),
            &["secrets", "list"],
            &["vault", "list"],
            &["vault", "versions", "fresh"],
            &["audit", "list"],
        ] {
            said.push(say(&world, &[arguments, &["-o", output]].concat()).await);
        }
    }
    // Where a value was typed where a name belongs, it is at least not repeated.
    said.push(say(&world, &["secrets", "create", "b", "--new", &format!("k={VALUE}!")]).await);
    for said in said {
        assert!(!said.out.contains(VALUE) && !said.err.contains(VALUE), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_without_confirmation() {
    let world = World::start().await;
    world.seed("v", "1").await;
    say(&world, &["secrets", "add", "a", "k=v"]).await.ok();
    let asked = pipe(&world, "y\n", &["secrets", "delete", "a"]).await.failed(2);
    assert!(asked.contains("--yes"), "{asked}");
    assert!(world.edge("a").await.is_some());

    for (answer, is_left) in [("n", true), ("", true), ("y", false)] {
        let address = world.address().to_string();
        tokio::task::spawn_blocking(move || answer_at_a_terminal(&address, answer)).await.unwrap();
        assert_eq!(world.edge("a").await.is_some(), is_left, "{answer:?}");
    }
}

/// What is shown at a terminal before the question, and the answer to it.
fn answer_at_a_terminal(address: &str, answer: &str) {
    let mut terminal = at_a_terminal(address, &["secrets", "delete", "a"]);
    terminal.exp_string("holds:   k").unwrap();
    terminal.exp_string("used by: nothing").unwrap();
    terminal.exp_string("Delete a from the cluster? The secrets in the vault are kept. [y/N]").unwrap();
    terminal.send_line(answer).unwrap();
    let said = terminal.exp_eof().unwrap();
    assert_eq!(said.contains("a deleted"), answer == "y", "{said}");
}

fn at_a_terminal(address: &str, arguments: &[&str]) -> rexpect::session::PtySession {
    let mut command = process::command(arguments);
    // Inherited, so that it is the terminal's.
    command.env("SECRET_SERVICE_ADDRESS", address).env("NO_COLOR", "1").stdin(Stdio::inherit());
    let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
    rexpect::session::spawn_command(command, Some(patience)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_for_a_value_asks_twice_and_does_not_echo() {
    let world = World::start().await;
    let address = world.address().to_string();
    let shown = tokio::task::spawn_blocking(move || {
        let mut shown = String::new();
        for again in ["typo", "hidden-77"] {
            let mut terminal = at_a_terminal(&address, &["vault", "create", "typed"]);
            shown += &terminal.exp_string("Value of typed (hidden): ").unwrap();
            terminal.send_line("hidden-77").unwrap();
            shown += &terminal.exp_string("Repeat the value: ").unwrap();
            terminal.send_line(again).unwrap();
            shown += &terminal.exp_eof().unwrap();
        }
        shown
    });
    let shown = shown.await.unwrap();
    assert!(shown.contains("differ") && shown.contains("ENABLED"), "{shown}");
    assert!(!shown.contains("hidden-77"), "{shown}");
    assert_eq!(world.somebody.reads("typed").await, "hidden-77");
}
