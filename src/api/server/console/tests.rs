//! Paths, policies and negotiation; `src/api/tests/console.rs` has the answers on the wire.

use std::io::Read;

use super::{negotiation::Coding, *};

fn asking(name: HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

/// What a browser that opens this path gets.
fn opened(path: &str) -> &'static str {
    match target(&Assets::embedded(), path, true) {
        Target::Page => "page",
        Target::Screen => "screen",
        Target::File(_) => "file",
        Target::Settings => "settings",
        Target::Missing => "missing",
    }
}

#[test]
fn screens_are_paths_without_a_dot_in_their_first_part_and_everything_else_is_a_file_or_nothing() {
    assert_eq!(opened("/"), "page");
    assert_eq!(opened("/favicon.svg"), "file");
    assert_eq!(opened("/console.json"), "settings");
    for screen in
        ["/secrets", "/secrets/edp1secrets", "/secrets/tls.line-1.example", "/secrets/a%2Fb", "/vault/"]
    {
        assert_eq!(opened(screen), "screen", "{screen}");
    }
    for missing in [
        "",
        "*",
        "/index.html",
        "/favicon.ico",
        "/robots.txt",
        "/assets",
        "/assets/",
        "/assets/none.js",
        "/assets/../index.html",
        "/assets/%2e%2e/favicon.svg",
        "//favicon.svg",
        "//evil.example/x",
        "/secrets//assets",
        "/.well-known/security.txt",
        "/..",
        "//assets/x",
    ] {
        assert_eq!(opened(missing), "missing", "{missing}");
    }
    assert!(matches!(target(&Assets::embedded(), "/secrets", false), Target::Missing), "curl is no browser");
}

#[test]
fn a_path_of_grpc_is_never_the_consoles() {
    for path in ["/iotoperations.secrets.v1.SecretService/GetVault", "/grpc.health.v1.Health/Check", "/a.B/"]
    {
        assert!(is_of_grpc(path), "{path}");
    }
    for path in ["/", "/secrets/a.b", "/favicon.svg", "", "/assets/index-1.js"] {
        assert!(!is_of_grpc(path), "{path}");
    }
}

#[test]
fn the_coding_that_a_client_weighs_most_is_chosen() {
    use Coding::{Brotli, Gzip, Identity};
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Brotli),
        ("gzip", Gzip),
        ("GZIP;Q=0.5", Gzip),
        ("br;q=0.2, gzip;q=0.8", Gzip),
        ("br;q=0, *", Gzip),
        ("*", Brotli),
        ("*;q=0", Identity),
        ("identity, gzip;q=0.5", Identity),
        ("identity;q=0, gzip;q=0.1", Gzip),
        ("zstd", Identity),
        ("br;q=2, gzip;q=x", Identity),
        ("", Identity),
    ] {
        assert_eq!(
            negotiation::coding(&asking(http::header::ACCEPT_ENCODING, accepted)),
            coding,
            "{accepted}"
        );
    }
    assert_eq!(negotiation::coding(&HeaderMap::new()), Identity);
}

#[test]
fn html_is_accepted_where_it_is_named() {
    let accepts = |value| negotiation::accepts_html(&asking(http::header::ACCEPT, value));
    assert!(accepts("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8") && accepts("Text/HTML;q=0.1"));
    assert!(!accepts("*/*") && !accepts("text/html;q=0") && !accepts("image/avif"));
}

#[test]
fn tags_are_compared_weakly_and_a_star_matches_all() {
    let tag = HeaderValue::from_static("W/\"a\"");
    let has = |known| negotiation::has(&asking(http::header::IF_NONE_MATCH, known), &tag);
    assert!(has("W/\"a\"") && has("\"a\"") && has("\"b\", W/\"a\"") && has("*"));
    assert!(!has("W/\"b\"") && !has("a") && !has(""));
}

#[test]
fn all_codings_of_a_file_have_the_same_content() {
    for asset in &Assets::embedded().0 {
        let content = asset.content(Coding::Identity);
        assert!(!content.is_empty(), "{}", asset.file.path);
        let mut read = Vec::new();
        brotli::Decompressor::new(&*asset.content(Coding::Brotli), 4_096).read_to_end(&mut read).unwrap();
        assert_eq!(read, content, "{}", asset.file.path);
    }
}

#[test]
fn the_policy_names_the_issuer_and_no_host_can_add_a_directive_to_it() {
    let policy = |urls: &[&str]| headers::policy(&urls.iter().map(ToString::to_string).collect::<Vec<_>>());
    let own = policy(&[]);
    assert!(own.ends_with("; connect-src 'self'"), "{own}");
    let both = policy(&[
        "https://login.example/tenant/v2.0",
        "https://LOGIN.example:443/token",
        "https://t.example:8443/t",
    ]);
    assert_eq!(both, format!("{own} https://login.example https://t.example:8443"));
    for bad in [
        "https://a;script-src/",
        "https://a,b/",
        "https://a'b/",
        "https://*/",
        "https://*.example/",
        "http://a.example/",
        "javascript:alert(1)",
        "data:x",
        "https://",
        "not a URL",
    ] {
        let policy = policy(&[bad]);
        assert_eq!(policy, own, "{bad}");
    }
}
