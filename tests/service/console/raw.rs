//! Requests that no browser sends, byte by byte.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::with_console;
use crate::support::{PATIENCE, World};

/// Everything that the service answers until it closes the connection.
async fn send(world: &World, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    // A service that refuses the request may close the connection before all of it was sent.
    let _ = stream.write_all(text).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status line of the answer to GET.
async fn get(world: &World, target: &str) -> String {
    let text =
        format!("GET {target} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nconnection: close\r\n\r\n");
    send(world, text.as_bytes()).await.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn no_path_leads_out_of_the_page() {
    let world = with_console(|_| ()).await;
    for path in [
        "/assets/../../../etc/passwd",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/index.html",
        "/assets//index.html",
        "//evil.example/%2e%2e",
        "/..",
        "/.%00/x",
        "/\\..\\index.html.",
    ] {
        let status = get(&world, path).await;
        // 415: it looks like a method of gRPC.
        let code = status.strip_prefix("HTTP/1.1 ").and_then(|status| status.split(' ').next());
        assert!(matches!(code, Some("400" | "404" | "415")), "{path}: {status}");
    }
    // What names another host is for another host.
    assert!(get(&world, "http://evil.example/").await.starts_with("HTTP/1.1 403"));
    assert!(get(&world, "http://localhost/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_endless_path_is_refused_before_it_is_read() {
    let world = with_console(|_| ()).await;
    for megabytes in [1, 10] {
        let status = get(&world, &format!("/{}", "a".repeat(megabytes << 20))).await;
        assert!(status.is_empty() || status.starts_with("HTTP/1.1 4"), "{status}");
        assert!(get(&world, "/").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn the_body_of_a_get_is_no_further_request() {
    let world = with_console(|_| ()).await;
    let inner = "GET /console.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let length = format!("content-length: {}\r\n\r\n{inner}", inner.len());
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let head = "GET / HTTP/1.1\r\nhost: localhost\r\n";
    let last = "GET /favicon.svg HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for body in [length, chunked] {
        let answer = send(&world, format!("{head}{body}{last}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("application/json"), "{answer}");
    }
    // Two lengths: chunks count (RFC 9112, 6.3), these are none, and the connection ends.
    let both =
        format!("{head}content-length: 0\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n{last}");
    let answer = send(&world, both.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn two_hosts_or_none_are_refused() {
    let world = with_console(|_| ()).await;
    for hosts in ["host: localhost\r\nhost: evil.example\r\n", "", "host: \r\n", "host: a b\r\n"] {
        let answer =
            send(&world, format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"),
            "{hosts:?}: {answer}"
        );
    }
}
