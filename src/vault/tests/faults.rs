//! What the client makes of a vault that refuses, throttles, fails, hangs, breaks off or answers nonsense.

use super::*;

#[tokio::test]
async fn every_vault_error_is_mapped_and_not_quoted() {
    type Expected = fn(&VaultError) -> bool;
    let cases: [(u16, &str, &str, Expected); 9] = [
        (
            403,
            "Forbidden",
            "ForbiddenByRbac",
            |e| matches!(e, VaultError::Forbidden { code, .. } if code == "ForbiddenByRbac"),
        ),
        (403, "Forbidden", "ForbiddenByFirewall", |e| matches!(e, VaultError::Firewall)),
        (403, "Forbidden", "SecretDisabled", |e| matches!(e, VaultError::Disabled { version: None, .. })),
        (404, "SecretNotFound", "", |e| matches!(e, VaultError::NotFound { .. })),
        (409, "Conflict", "ObjectIsDeletedButRecoverable", |e| {
            matches!(e, VaultError::SoftDeleted { being_deleted: false, .. })
        }),
        (409, "Conflict", "ObjectIsBeingDeleted", |e| {
            matches!(e, VaultError::SoftDeleted { being_deleted: true, .. })
        }),
        (400, "BadParameter", "", |e| matches!(e, VaultError::Rejected { status: 400, .. })),
        (429, "Throttled", "", |e| matches!(e, VaultError::Throttled { retry_after: None })),
        (500, "InternalServerError", "", |e| matches!(e, VaultError::Unreachable(_))),
    ];
    for (status, code, inner, expected) in cases {
        let wire = Wire::start(move |_| error(status, code, inner));
        let vault = wire.vault();
        let read = refused(&vault).await;
        assert!(expected(&read), "{status} {inner}: {read:?}");
        let wire = Wire::start(move |_| error(status, code, inner));
        let stored = wire.vault().set(&name(), &new(), Priority::Interactive).await.unwrap_err();
        safe(&stored);
        match status {
            // A write misses no secret: it is the vault that is missing.
            404 => assert!(matches!(stored, VaultError::Malformed(_)), "{stored:?}"),
            _ => assert!(expected(&stored), "{status} {inner}: {stored:?}"),
        }
        assert_eq!(wire.authenticated().len(), 1, "a value is sent once");
    }
}

#[tokio::test]
async fn a_429_fails_at_once_and_pauses_the_whole_client() {
    let wire = Wire::start(|_| ([("retry-after", "7")], error(429, "Throttled", "")).into_response());
    let vault = wire.vault();
    let seven = VaultError::Throttled { retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(refused(&vault).await, seven);
    let start = Instant::now();
    let VaultError::Throttled { retry_after: Some(left) } = refused(&vault.clone()).await else { panic!() };
    assert!(left > Duration::from_secs(5) && left <= Duration::from_secs(7), "{left:?}");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(wire.authenticated().len(), 1);
}

#[tokio::test]
async fn after_a_short_pause_the_client_goes_on() {
    let throttled = AtomicUsize::new(0);
    let wire = Wire::start(move |_| match throttled.fetch_add(1, Ordering::Relaxed) {
        0 => ([("retry-after-ms", "300")], error(429, "Throttled", "")).into_response(),
        _ => secret(),
    });
    let vault = wire.vault();
    refused(&vault).await;
    let start = Instant::now();
    vault.get(&name(), None, Priority::Background).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_vault_that_is_too_slow_is_a_timeout() {
    let wire = Wire::start(|_| {
        let never = futures::stream::pending::<Result<&str, std::io::Error>>();
        axum::body::Body::from_stream(never).into_response()
    });
    let timeout = Duration::from_millis(400);
    let vault = Vault::connect(&Options { timeout, ..wire.options() }).unwrap();
    assert_eq!(refused(&vault).await, VaultError::Timeout { after: timeout });
}

#[tokio::test]
async fn a_broken_connection_retries_a_read_and_never_a_write() {
    let wire = Wire::start(|_| broken(r#"{"value":"canary-value"#));
    let vault = wire.vault();
    assert!(matches!(refused(&vault).await, VaultError::Unreachable(_)));
    assert_eq!(wire.authenticated().len(), 3);
    let stored = vault.set(&name(), &new(), Priority::Interactive).await.unwrap_err();
    safe(&stored);
    assert!(matches!(stored, VaultError::Unreachable(_)), "{stored}");
    assert_eq!(wire.authenticated().len(), 4);
}

#[tokio::test]
async fn readers_do_not_notice_a_single_vault_failure() {
    let failed = AtomicUsize::new(0);
    let wire = Wire::start(move |_| match failed.fetch_add(1, Ordering::Relaxed) {
        0 => error(503, "ServiceUnavailable", ""),
        _ => secret(),
    });
    assert!(wire.vault().get(&name(), None, Priority::Interactive).await.is_ok());
}

#[tokio::test]
async fn a_response_that_is_not_key_vaults_is_malformed() {
    for body in [
        "",
        "{",
        "<html>canary-value</html>",
        "[1]",
        r#"{"value":"canary-value"}"#,
        r#"{"id":"x"}"#,
        r#"{"value":7}"#,
    ] {
        let wire = Wire::start(move |_| body.into_response());
        let error = refused(&wire.vault()).await;
        assert!(matches!(error, VaultError::Malformed(_)), "{body}: {error}");
        let error = wire.vault().set(&name(), &new(), Priority::Interactive).await.unwrap_err();
        assert!(matches!(error, VaultError::Malformed(_)), "{body}: {error}");
    }
    let wire = Wire::start(|_| page(&[json!({"id": "https://x/secrets/a_b"})], None));
    let error = wire.vault().list_page(None, Priority::Background).await.unwrap_err();
    assert!(matches!(error, VaultError::Malformed(_)), "{error}");
    let wire =
        Wire::start(|_| (StatusCode::FOUND, [(header::LOCATION, "https://evil.example/")]).into_response());
    assert!(matches!(refused(&wire.vault()).await, VaultError::Malformed(_)));
    assert_eq!(wire.authenticated().len(), 1);
}

#[tokio::test]
async fn an_endless_body_is_abandoned() {
    let wire = Wire::start(|_| endless());
    let VaultError::Malformed(why) = refused(&wire.vault()).await else { panic!() };
    assert!(why.contains("larger"), "{why}");
}

#[tokio::test]
async fn a_vault_with_an_untrusted_certificate_receives_nothing() {
    let wire = Wire::start(|_| secret());
    let vault = Vault::connect(&Options { ca_file: None, ..wire.options() });
    // A machine without any certificates can't make a client at all.
    if let Ok(vault) = vault {
        let VaultError::Unreachable(why) = refused(&vault).await else { panic!() };
        assert!(why.contains("TLS"), "{why}");
    }
    assert!(wire.requests().is_empty());
}

#[tokio::test]
async fn a_vault_that_does_not_exist_is_unreachable() {
    let wire = Wire::start(|_| secret());
    let uri = Url::parse("https://localhost:1/").unwrap();
    let vault = Vault::connect(&Options { uri, ..wire.options() }).unwrap();
    assert_eq!(refused(&vault).await, VaultError::Unreachable("connection refused".into()));
}
