//! The client against a server on the wire: what it sends and what it understands.

mod faults;
mod identity;
mod wire;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use self::wire::{
    CLIENT_SECRET, OTHER_TENANT, TENANT, TOKEN, VALUE, Wire, broken, challenge, endless, error, page, token,
};
use super::*;
use crate::{
    explain::Explain,
    model::{NewVaultSecret, VaultSecretName},
};

const VERSION: &str = "0123456789abcdef0123456789abcdef";

fn name() -> VaultSecretName {
    "Pump-Password".parse().unwrap()
}

fn new() -> NewVaultSecret {
    NewVaultSecret {
        value: SecretString::from(VALUE),
        content_type: "text/plain".to_owned(),
        not_before_time: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        expire_time: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        tags: [("line".to_owned(), "4".to_owned())].into(),
        encoding: None,
        encoding_by_default: false,
    }
}

fn item(path: &str) -> Value {
    json!({
        "id": format!("https://x.vault.azure.net/secrets/{path}"),
        "attributes": {"enabled": false, "created": 1_700_000_000, "updated": 1_700_000_001, "nbf": 1, "exp": 2},
        "contentType": "text/plain", "tags": {"line": "4"}, "managed": true,
    })
}

fn secret() -> Response {
    let mut secret = item(&format!("Pump-Password/{VERSION}"));
    secret["value"] = json!(VALUE);
    ([(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT")], axum::Json(secret)).into_response()
}

/// What reading a value ends with, without anything that is a secret in it.
async fn refused(vault: &Vault) -> VaultError {
    let error = vault.get(&name(), None, Priority::Interactive).await.unwrap_err();
    safe(&error);
    error
}

fn safe(error: &VaultError) {
    let text = format!("{error} {error:?} {}", error.remedy());
    for canary in [VALUE, TOKEN, CLIENT_SECRET] {
        assert!(!text.contains(canary), "{text}");
    }
}

#[tokio::test]
async fn the_first_call_is_challenged_and_the_token_serves_all_later_calls() {
    let wire = Wire::start(|_| secret());
    let vault = wire.vault();
    for _ in 0..3 {
        vault.get(&name(), None, Priority::Interactive).await.unwrap();
    }
    let tokens = wire.requests().iter().filter(|seen| seen.path.ends_with("/token")).count();
    assert_eq!((wire.requests().len(), tokens), (5, 1));
    assert!(wire.authenticated().iter().all(|seen| seen.token.as_deref() == Some(TOKEN)));
    assert_eq!(vault.requests(), 4);
}

#[tokio::test]
async fn concurrent_first_calls_are_challenged_once() {
    let wire = Wire::start(|_| secret());
    let (vault, name) = (wire.vault(), name());
    let calls = (0..4).map(|_| vault.get(&name, None, Priority::Background));
    futures::future::try_join_all(calls).await.unwrap();
    assert_eq!((wire.authenticated().len(), vault.requests()), (4, 5));
}

#[tokio::test]
async fn a_value_comes_with_its_version_and_the_vaults_time() {
    let wire = Wire::start(|_| secret());
    let read =
        wire.vault().get(&name(), Some(&VERSION.parse().unwrap()), Priority::Interactive).await.unwrap();
    assert_eq!(read.value.expose_secret(), VALUE);
    assert_eq!(read.version.version.as_str(), VERSION);
    assert_eq!((read.version.secret.enabled, read.version.secret.managed), (false, true));
    assert_eq!(read.version.secret.tags["line"], "4");
    assert_eq!(read.read_time.to_string(), "1994-11-06T08:49:37Z");
    assert_eq!(wire.authenticated()[0].path, format!("/secrets/Pump-Password/{VERSION}"));
    assert!(!format!("{read:?}").contains(VALUE));
}

#[tokio::test]
async fn a_new_value_is_sent_with_all_attributes_and_only_to_an_authenticated_vault() {
    let wire = Wire::start(|_| secret());
    let stored = wire.vault().set(&name(), &new(), Priority::Interactive).await.unwrap();
    assert_eq!(stored.version.as_str(), VERSION);
    assert_eq!(wire.requests()[0].body, "");
    let request = &wire.authenticated()[0];
    assert_eq!((&request.method, request.path.as_str()), (&Method::PUT, "/secrets/Pump-Password"));
    assert_eq!(
        serde_json::from_str::<Value>(&request.body).unwrap(),
        json!({
            "value": VALUE, "contentType": "text/plain", "tags": {"line": "4"},
            "attributes": {"nbf": 1_767_225_600, "exp": 1_798_761_600},
        })
    );
}

#[tokio::test]
async fn a_version_is_disabled_without_touching_anything_else() {
    let wire = Wire::start(|_| secret());
    let version = VERSION.parse().unwrap();
    wire.vault().set_enabled(&name(), &version, false, Priority::Background).await.unwrap();
    let request = &wire.authenticated()[0];
    assert_eq!(request.method, Method::PATCH);
    assert_eq!(request.path, format!("/secrets/Pump-Password/{VERSION}"));
    assert_eq!(request.body, r#"{"attributes":{"enabled":false}}"#);
}

#[tokio::test]
async fn the_configured_api_version_is_used_on_every_page() {
    let wire = Wire::start(|seen| match seen.query.contains("skiptoken") {
        true => page(&[], None),
        false => page(&[], Some(&format!("/secrets?api-version=1&$skiptoken=a&{}", seen.query))),
    });
    let vault = Vault::connect(&Options { api_version: Some("7.4".to_owned()), ..wire.options() }).unwrap();
    let first = vault.list_page(None, Priority::Background).await.unwrap();
    vault.list_page(first.next.as_deref(), Priority::Background).await.unwrap();
    for request in wire.authenticated() {
        assert!(
            request.query.contains("api-version=7.4") && request.query.contains("maxresults=25"),
            "{request:?}"
        );
        assert!(!request.query.contains("api-version=1"), "{request:?}");
    }
}

#[tokio::test]
async fn a_list_reads_one_page_per_call_until_its_end() {
    let wire = Wire::start(|seen| match seen.query.contains("skiptoken=b") {
        false => page(&[item("one"), item("Two")], Some("/secrets?$skiptoken=b")),
        true => page(&[item("three")], None),
    });
    let vault = wire.vault();
    let first = vault.list_page(None, Priority::Background).await.unwrap();
    assert_eq!(wire.authenticated().len(), 1);
    assert_eq!(first.items[1].name.as_str(), "Two");
    assert!(first.items[0].update_time > first.items[0].create_time);
    let last = vault.list_page(first.next.as_deref(), Priority::Background).await.unwrap();
    assert_eq!((last.items.len(), last.next), (1, None));
}

#[tokio::test]
async fn all_versions_are_read_over_all_pages() {
    let wire = Wire::start(|seen| {
        let version = |digit: char| item(&format!("Pump-Password/{}", digit.to_string().repeat(32)));
        match seen.query.contains("skiptoken=b") {
            false => {
                page(&[version('a'), version('b')], Some("/secrets/pump-password/versions?$skiptoken=b"))
            }
            true => page(&[version('c')], None),
        }
    });
    let versions = wire.vault().versions_all(&name(), Priority::Background).await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| &version.version.as_str()[..1]).collect();
    assert_eq!(versions, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_next_link_that_leaves_the_list_is_refused_and_not_followed() {
    for foreign in [
        "https://evil.example/secrets?$skiptoken=b",
        "https://localhost:1/secrets?$skiptoken=b",
        "https://user@localhost/secrets",
        "http://localhost/secrets",
        "/keys?$skiptoken=b",
        "/secrets/Pump-Password",
        "javascript:alert(1)",
        "https://",
    ] {
        let wire = Wire::start(move |_| page(&[item("one")], Some(foreign)));
        let vault = wire.vault();
        let error = vault.list_page(None, Priority::Background).await.unwrap_err();
        assert!(matches!(error, VaultError::Malformed(_)), "{foreign}: {error}");
        // The same as a continuation that someone forged.
        let error = vault.list_page(Some(foreign), Priority::Background).await.unwrap_err();
        assert!(matches!(error, VaultError::Malformed(_)), "{foreign}: {error}");
        assert_eq!(wire.authenticated().len(), 1);
    }
}

#[tokio::test]
async fn a_loop_of_pages_is_an_error() {
    let wire = Wire::start(|seen| {
        let next = if seen.query.contains("skiptoken=a") { 'b' } else { 'a' };
        page(&[], Some(&format!("/secrets/pump-password/versions?$skiptoken={next}")))
    });
    let error = wire.vault().versions_all(&name(), Priority::Background).await.unwrap_err();
    assert!(matches!(error, VaultError::Malformed(_)));
    assert_eq!(wire.authenticated().len(), 3);

    let wire = Wire::start(|_| page(&[], Some("/secrets?$skiptoken=a")));
    let vault = wire.vault();
    let first = vault.list_page(None, Priority::Background).await.unwrap();
    let error = vault.list_page(first.next.as_deref(), Priority::Background).await.unwrap_err();
    assert!(matches!(error, VaultError::Malformed(_)));
}

#[tokio::test]
async fn a_missing_version_and_a_missing_secret_have_different_errors() {
    for there in [true, false] {
        let wire = Wire::start(move |seen| match seen.path.ends_with("/versions") {
            true if there => page(&[item(&format!("Pump-Password/{}", "a".repeat(32)))], None),
            true => page(&[], None),
            false => error(404, "SecretNotFound", ""),
        });
        let (vault, version) = (wire.vault(), VERSION.parse().unwrap());
        let read = vault.get(&name(), Some(&version), Priority::Interactive).await.unwrap_err();
        let changed = vault.set_enabled(&name(), &version, true, Priority::Interactive).await.unwrap_err();
        let expected = match there {
            true => VaultError::VersionNotFound { name: name(), version },
            false => VaultError::NotFound { name: name(), unseen_in: None },
        };
        assert_eq!((&read, &changed), (&expected, &expected));
        assert_eq!(refused(&vault).await, VaultError::NotFound { name: name(), unseen_in: None });
    }
}

#[tokio::test]
async fn a_deleted_secret_is_found_under_the_name_that_the_vault_has() {
    let wire = Wire::start(|seen| match seen.path.as_str() {
        "/deletedsecrets/Pump-Password" => axum::Json(item("PUMP-password/x")).into_response(),
        _ => error(404, "SecretNotFound", ""),
    });
    let vault = wire.vault();
    let deleted = vault.deleted(&name(), Priority::Interactive).await.unwrap();
    assert_eq!(deleted.unwrap().as_str(), "PUMP-password");
    assert_eq!(vault.deleted(&"other".parse().unwrap(), Priority::Interactive).await, Ok(None));
}

#[tokio::test]
async fn no_more_connections_are_used_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let wire = Wire::start({
        let most = most.clone();
        move |_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let now = now.clone();
            let later = futures::stream::once(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(axum::body::to_bytes(secret().into_body(), 4096).await.unwrap())
            });
            axum::body::Body::from_stream(later).into_response()
        }
    });
    let vault = Vault::connect(&Options { concurrency: 2, ..wire.options() }).unwrap();
    let name = name();
    // Of two, persons leave one to the background and it leaves one to them: only both together use all.
    let calls = [Priority::Background, Priority::Interactive].repeat(10);
    let calls = calls.into_iter().map(|priority| vault.get(&name, None, priority));
    futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 2);
}
