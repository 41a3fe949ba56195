//! Who may read the page, and which pages may call: those that this service has served, and those that are configured.

use super::*;

/// ListSyncedSecrets by gRPC-Web, without a message.
pub fn call(client: &Client, base: &str) -> RequestBuilder {
    client
        .post(format!("{base}/iotoperations.secrets.v1.SecretService/ListSyncedSecrets"))
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(vec![0; 5])
}

/// Clients that find these hosts here.
fn elsewhere(world: &World) -> [Client; 2] {
    let address = world.address();
    both_with(|builder| builder.resolve("evil.example", address).resolve("console.example", address))
}

#[tokio::test]
async fn the_page_is_served_by_an_address_localhost_and_the_hosts_of_allowed_origins_alone() {
    let world =
        with_console(|options| options.allowed_origins = vec!["https://console.example".to_owned()]).await;
    let port = world.address().port();
    for client in elsewhere(&world) {
        let file = files_of_the_page(&client, &world).await.remove(0);
        for path in ["/", "/console.json", "/secrets", "/favicon.svg", &file] {
            for (host, status) in [
                ("127.0.0.1", StatusCode::OK),
                ("localhost", StatusCode::OK),
                ("console.example", StatusCode::OK),
                ("evil.example", StatusCode::FORBIDDEN),
            ] {
                let request = client.get(format!("http://{host}:{port}{path}")).header(BROWSER.0, BROWSER.1);
                let answer = read(request).await;
                assert_eq!(answer.status, status, "{host} {path}");
                assert!(status == StatusCode::OK || !answer.text().contains("<html"), "{host} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_calls_its_own_origin_and_pages_of_other_origins_are_refused() {
    let world =
        with_console(|options| options.allowed_origins = vec!["https://console.example".to_owned()]).await;
    let port = world.address().port();
    for client in elsewhere(&world) {
        for (host, origin, status) in [
            ("127.0.0.1", format!("http://127.0.0.1:{port}"), StatusCode::OK),
            ("localhost", format!("http://localhost:{port}"), StatusCode::OK),
            ("console.example", format!("http://console.example:{port}"), StatusCode::OK),
            ("127.0.0.1", "https://console.example".to_owned(), StatusCode::OK),
            ("127.0.0.1", format!("http://localhost:{port}"), StatusCode::FORBIDDEN),
            ("127.0.0.1", format!("https://127.0.0.1:{port}"), StatusCode::FORBIDDEN),
            ("127.0.0.1", "http://127.0.0.1".to_owned(), StatusCode::FORBIDDEN),
            ("127.0.0.1", format!("http://127.0.0.1:{}", port ^ 1), StatusCode::FORBIDDEN),
            ("127.0.0.1", "https://evil.example".to_owned(), StatusCode::FORBIDDEN),
            ("127.0.0.1", "null".to_owned(), StatusCode::FORBIDDEN),
            // Any name that resolves to us.
            ("evil.example", format!("http://evil.example:{port}"), StatusCode::FORBIDDEN),
        ] {
            let answer =
                read(call(&client, &format!("http://{host}:{port}")).header("origin", &origin)).await;
            assert_eq!(answer.status, status, "{host} {origin}");
            let is_served = String::from_utf8_lossy(&answer.body).contains("grpc-status:0");
            assert_eq!(is_served, status == StatusCode::OK, "{host} {origin}");
        }
    }
}

#[tokio::test]
async fn the_page_calls_through_a_proxy_that_names_the_usual_port() {
    let world = with_console(|_| ()).await;
    let [client, _] = both();
    let proxied = call(&client, &url(&world, "")).header("host", "127.0.0.1:80");
    let answer = read(proxied.header("origin", "http://127.0.0.1")).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_read_the_settings() {
    let world = with_console(|_| ()).await;
    for client in both() {
        for path in ["/", "/console.json"] {
            let answer = read(client.get(url(&world, path)).header("origin", "https://evil.example")).await;
            assert_eq!(
                (answer.status, answer.header("access-control-allow-origin")),
                (StatusCode::FORBIDDEN, "")
            );
        }
    }
}

#[tokio::test]
async fn without_a_console_the_own_origin_is_one_like_any_other() {
    let world = World::start().await;
    for client in both() {
        let own = url(&world, "");
        assert_eq!(read(call(&client, &own).header("origin", &own)).await.status, StatusCode::FORBIDDEN);
        assert_eq!(read(call(&client, &own)).await.status, StatusCode::OK);
    }
}
