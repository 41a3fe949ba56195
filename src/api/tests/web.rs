//! Browsers: gRPC-Web over HTTP/1.1, and pages that may not call.

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::proto::*;

const PATH: &str = "/iotoperations.secrets.v1.SecretService/GetSyncedSecret";

/// The whole answer to a request, as text.
async fn send(running: &Running, method: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let mut text =
        format!("{method} {PATH} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(b"\r\n").await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    // A server that does not speak this at all may reset the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(name: &str) -> Vec<u8> {
    let message = GetSyncedSecretRequest { name: name.into(), view: 0 }.encode_to_vec();
    [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], message.as_slice()].concat()
}

const WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");
const HOST: (&str, &str) = ("host", "127.0.0.1");

#[tokio::test]
async fn an_allowed_origin_can_call_over_http_1() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("edp1secrets")).await;
    let headers = [WEB, HOST, ("origin", "https://console.example")];
    let answer = send(&running, "POST", &headers, &get("syncedSecrets/edp1secrets")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://console.example"), "{answer}");
    assert!(answer.contains("vaultSecrets/Edp1-User") && answer.contains("grpc-status:0"), "{answer}");
    let answer = send(&running, "POST", &headers, &get("edp1secrets")).await;
    assert!(answer.contains("grpc-status: 3") && answer.contains("grpc-status-details-bin"), "{answer}");
}

#[tokio::test]
async fn requests_of_other_origins_and_hosts_are_refused() {
    let running = serve(|_| ()).await;
    let body = get("syncedSecrets/edp1secrets");
    let origin = ("origin", "https://evil.example");
    for headers in [
        vec![WEB, HOST, origin],
        vec![("content-type", "text/plain"), HOST, origin],
        vec![("content-type", "application/grpc"), HOST, origin],
        vec![WEB, HOST, ("origin", "null")],
        // The page's own name, pointed at us.
        vec![WEB, ("host", "evil.example:50051")],
        vec![WEB, ("host", "evil.example:50051"), ("origin", "http://evil.example:50051")],
    ] {
        let answer = send(&running, "POST", &headers, &body).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{headers:?}: {answer}");
    }
    let asks = [HOST, origin, ("access-control-request-method", "POST")];
    assert!(send(&running, "OPTIONS", &asks, b"").await.starts_with("HTTP/1.1 403"));
    let plain = send(&running, "GET", &[HOST], b"").await;
    assert!(plain.starts_with("HTTP/1.1 415"), "{plain}");
}

#[tokio::test]
async fn a_preflight_of_an_allowed_origin_succeeds() {
    let running = serve(|_| ()).await;
    let asks = [
        HOST,
        ("origin", "https://console.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-grpc-web"),
    ];
    let answer = send(&running, "OPTIONS", &asks, b"").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://console.example"), "{answer}");
    assert!(answer.contains("access-control-allow-methods: POST"), "{answer}");
}

#[tokio::test]
async fn without_grpc_web_there_is_no_http_1() {
    let running = serve(|options| options.grpc_web = false).await;
    let answer = send(&running, "POST", &[WEB, HOST], &get("syncedSecrets/a")).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}
