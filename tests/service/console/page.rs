//! The page and its files: headers, codings, caching, and which paths lead to it.

use http::{Method, StatusCode};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use secret_service::{
    api::{Revocation, Tls},
    proto::ListSyncedSecretsRequest,
};

use super::*;
use crate::support::Site;

const POLICY: &str = "default-src 'none'; script-src 'self'; \
                      style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; \
                      font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'; \
                      connect-src 'self'";

/// The headers of every answer.
fn is_safe(answer: &Answer, what: &str) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("access-control-allow-origin", ""),
        ("set-cookie", ""),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name}");
    }
    let permissions = answer.header("permissions-policy");
    let is_off = |feature: &str| feature.ends_with("=()") || feature == "clipboard-write=(self)";
    assert!(permissions.len() > 100 && permissions.split(", ").all(is_off), "{what}: {permissions}");
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_the_page_safe() {
    let world = with_console(|_| ()).await;
    for client in both() {
        let file = files_of_the_page(&client, &world).await.remove(0);
        for path in ["/", &file, "/favicon.svg", "/console.json", "/secrets/edp1secrets", "/assets/none.js"] {
            let answer = open(&client, &world, path).await;
            is_safe(&answer, path);
            assert_eq!(answer.header("strict-transport-security"), "", "not over plain HTTP");
        }
        is_safe(&read(client.post(url(&world, "/"))).await, "POST");
        let tag = open(&client, &world, "/").await.header("etag").to_owned();
        is_safe(&read(client.get(url(&world, "/")).header("if-none-match", tag)).await, "304");
    }
}

#[tokio::test]
async fn brotli_gzip_and_no_compression_give_the_same_bytes() {
    let world = with_console(|_| ()).await;
    for client in both() {
        let mut paths = files_of_the_page(&client, &world).await;
        paths.extend(["/".to_owned(), "/favicon.svg".to_owned()]);
        for path in paths {
            let take = async |accepted: &'static str| {
                read(client.get(url(&world, &path)).header("accept-encoding", accepted)).await
            };
            let plain = take("identity").await;
            for (accepted, coding) in [
                ("gzip, deflate, br, zstd", "br"),
                ("gzip", "gzip"),
                ("br;q=0.1, gzip;q=0.9", "gzip"),
                ("gzip;q=0, br;q=0", ""),
                ("identity, br;q=0.5", ""),
            ] {
                let answer = take(accepted).await;
                assert_eq!(answer.status, StatusCode::OK);
                assert_eq!(answer.header("content-encoding"), coding, "{path} {accepted}");
                assert_eq!(
                    answer.header("content-length"),
                    answer.body.len().to_string(),
                    "{path} {accepted}"
                );
                assert_eq!(answer.header("content-type"), plain.header("content-type"));
                assert_eq!(answer.header("vary"), "accept-encoding");
                assert!(answer.content() == plain.body, "{path} {accepted}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_is_asked_for_each_time_and_its_files_never_again() {
    let world = with_console(|_| ()).await;
    for client in both() {
        let page = open(&client, &world, "/").await;
        assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-cache"));
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        for (known, status) in [
            (page.header("etag"), StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"other\"", StatusCode::OK),
        ] {
            let answer = read(client.get(url(&world, "/")).header("if-none-match", known)).await;
            assert_eq!((answer.status, answer.header("etag")), (status, page.header("etag")), "{known}");
            assert_eq!(answer.body.is_empty(), status == StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(
                (answer.header("cache-control"), answer.header("vary")),
                ("no-cache", "accept-encoding")
            );
        }
        for file in files_of_the_page(&client, &world).await {
            let answer = open(&client, &world, &file).await;
            assert_eq!(answer.status, StatusCode::OK, "{file}");
            assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{file}");
        }
        assert_eq!(open(&client, &world, "/console.json").await.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn head_gets_the_headers_of_get_without_the_content() {
    let world = with_console(|_| ()).await;
    for client in both() {
        let file = files_of_the_page(&client, &world).await.remove(0);
        for path in ["/", &file, "/favicon.svg", "/console.json"] {
            let (got, head) =
                (read(client.get(url(&world, path))).await, read(client.head(url(&world, path))).await);
            assert!(head.body.is_empty() && !got.body.is_empty(), "{path}");
            for name in ["content-length", "content-type", "etag", "cache-control", "content-security-policy"]
            {
                assert_eq!(head.header(name), got.header(name), "{path}: {name}");
            }
            assert_eq!(head.status, got.status);
        }
    }
}

#[tokio::test]
async fn a_refused_head_has_no_body_either() {
    let world = with_console(|_| ()).await;
    for client in both() {
        for (path, origin, status) in [
            ("/assets/none.js", None, StatusCode::NOT_FOUND),
            ("/grpc.health.v1.Health/Check", None, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ("/", Some("https://evil.example"), StatusCode::FORBIDDEN),
        ] {
            let mut request = client.head(url(&world, path));
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = read(request).await;
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        }
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_allowed() {
    let world = with_console(|_| ()).await;
    for client in both() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
            for path in ["/", "/secrets", "/assets/none.js", "/console.json"] {
                let answer = read(client.request(method.clone(), url(&world, path))).await;
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert_eq!(answer.header("allow"), "GET, HEAD", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_of_a_screen_is_the_page_for_browsers_alone_and_a_missing_file_never_is() {
    let world = with_console(|_| ()).await;
    for client in both() {
        let page = open(&client, &world, "/").await;
        for screen in ["/secrets", "/secrets/edp1secrets", "/secrets/opc.line-1.tls", "/secrets/a?tab=uses"] {
            let answer = open(&client, &world, screen).await;
            assert_eq!((answer.status, &answer.body), (StatusCode::OK, &page.body), "{screen}");
            assert_eq!(
                (answer.header("cache-control"), answer.header("vary")),
                ("no-cache", "accept, accept-encoding")
            );
            let program = read(client.get(url(&world, screen)).header("accept", "*/*")).await;
            assert_eq!(
                (program.status, program.header("vary")),
                (StatusCode::NOT_FOUND, "accept"),
                "{screen}"
            );
        }
        for missing in ["/assets/none.js", "/assets/", "/favicon.ico", "/index.html", "/.env"] {
            let answer = open(&client, &world, missing).await;
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (StatusCode::NOT_FOUND, "no-store"),
                "{missing}"
            );
            assert!(!answer.text().contains("<html"), "{missing}");
        }
    }
}

#[tokio::test]
async fn the_paths_of_grpc_are_never_the_page_and_grpc_is_served_beside_it() {
    let mut world = with_console(|_| ()).await;
    for client in both() {
        for path in [
            "/iotoperations.secrets.v1.SecretService/ListSyncedSecrets",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/unknown.Service/Method",
        ] {
            let answer = open(&client, &world, path).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
            assert_eq!(answer.text(), "This is a gRPC service.\n", "{path}");
        }
    }
    world.client.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn without_a_console_nothing_is_there() {
    let world = World::start().await;
    for client in both() {
        for path in ["/", "/favicon.svg", "/console.json", "/secrets"] {
            let answer = open(&client, &world, path).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
            assert_eq!(answer.text(), "This is a gRPC service.\n", "{path}");
            assert_eq!(answer.header("content-security-policy"), "", "{path}");
        }
    }
}

#[tokio::test]
async fn browsers_that_came_to_a_name_over_tls_are_told_to_stay_with_it() {
    let site = Site::start().await;
    let names = ["localhost", "127.0.0.1", "console.example"].map(str::to_owned);
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let file = |name: &str, text: String| {
        let path = site.directory().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let tls = Tls {
        cert_file: file("tls.crt", cert.pem()),
        key_file: file("tls.key", signing_key.serialize_pem()),
        client_ca_file: Some(file("clients.crt", cert.pem())),
        client_crl_file: None,
        revocation: Revocation { allow_unknown: true, ..Revocation::default() },
    };
    let options = Options {
        tls: Some(tls),
        console: Some(ConsoleOptions::default()),
        allowed_origins: vec!["https://console.example".to_owned()],
        ..Options::default()
    };
    let world = World::start_on(site, options).await;
    let trusted = reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap();
    for http1 in [true, false] {
        let builder = Client::builder()
            .no_proxy()
            .tls_certs_only([trusted.clone()])
            .resolve("console.example", world.address());
        let client = if http1 { builder.http1_only() } else { builder }.build().unwrap();
        let own = format!("https://localhost:{}", world.address().port());
        for (host, told) in [("console.example", "max-age=31536000"), ("localhost", ""), ("127.0.0.1", "")] {
            let page = read(client.get(own.replace("localhost", host))).await;
            assert_eq!(page.header("strict-transport-security"), told, "{host}");
            is_safe(&page, "over TLS");
        }
        let settings = read(client.get(format!("{own}/console.json"))).await;
        assert!(settings.text().contains("\"certificate\""), "{}", settings.text());
        // The page's own calls come from an https origin.
        for (origin, status) in
            [(own.clone(), StatusCode::OK), (own.replace("https", "http"), StatusCode::FORBIDDEN)]
        {
            let answer = read(super::origins::call(&client, &own).header("origin", &origin)).await;
            assert_eq!(answer.status, status, "{origin}");
        }
    }
}
