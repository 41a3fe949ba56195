//! How the client comes to its token, and what it says where there is none.

use super::*;

#[tokio::test]
async fn a_challenge_for_another_domain_is_refused_unless_configured() {
    let wire = Wire::start(|_| secret());
    let vault = Vault::connect(&Options { verify_challenge: true, ..wire.options() }).unwrap();
    let VaultError::Malformed(why) = refused(&vault).await else { panic!() };
    assert!(why.contains("challenge resource"), "{why}");
    assert!(wire.requests().iter().all(|seen| !seen.path.ends_with("/token")));
}

#[tokio::test]
async fn a_refused_application_and_a_missing_token_endpoint_have_different_errors() {
    let body = json!({"error": "invalid_client", "error_codes": [7_000_215],
        "error_description": format!("AADSTS7000215: Invalid {CLIENT_SECRET}.\r\nTrace: {TOKEN}")});
    let wire = Wire::with_tokens(
        |_| secret(),
        move |_| (StatusCode::UNAUTHORIZED, axum::Json(body.clone())).into_response(),
    );
    let VaultError::Unauthenticated(why) = refused(&wire.vault()).await else { panic!() };
    assert!(why.contains("AADSTS7000215"), "{why}");

    let wire = Wire::with_tokens(|_| secret(), |_| error(503, "x", ""));
    assert!(matches!(refused(&wire.vault()).await, VaultError::Unreachable(_)));

    let cloud = Cloud::Custom { authority_host: Url::parse("https://localhost:1/").unwrap() };
    let vault = Vault::connect(&Options { cloud, ..wire.options() }).unwrap();
    let VaultError::Unreachable(why) = refused(&vault).await else { panic!() };
    assert!(why.contains("token endpoint") && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_token_that_the_vault_no_longer_accepts_is_replaced_within_the_call() {
    let given = AtomicUsize::new(0);
    let authority = Url::parse("https://login.example/").unwrap();
    let revoked = Arc::new(AtomicBool::new(false));
    let wire = Wire::with_tokens(
        {
            let revoked = revoked.clone();
            move |seen| match seen.token.as_deref() == Some("token-0") && revoked.load(Ordering::Relaxed) {
                true => challenge(&authority),
                false => secret(),
            }
        },
        move |_| token(&format!("token-{}", given.fetch_add(1, Ordering::Relaxed))),
    );
    let vault = wire.vault();
    vault.set(&name(), &new(), Priority::Interactive).await.unwrap();
    revoked.store(true, Ordering::Relaxed);
    vault.set(&name(), &new(), Priority::Interactive).await.unwrap();
    assert!(wire.authenticated().last().unwrap().body.contains(VALUE));
}

#[tokio::test]
async fn a_vault_that_rejects_every_token_gets_few_attempts_and_few_tokens() {
    let authority = Url::parse("https://login.example/").unwrap();
    let wire = Wire::start(move |_| challenge(&authority));
    let vault = wire.vault();
    for _ in 0..5 {
        let VaultError::Unauthenticated(why) = refused(&vault).await else { panic!() };
        assert!(why.contains("AKV10000"), "{why}");
    }
    assert!(wire.requests().iter().filter(|seen| seen.path.ends_with("/token")).count() <= 2);
}

#[tokio::test]
async fn an_application_with_a_certificate_signs_for_its_token() {
    let wire = Wire::start(|_| secret());
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let pem_file = wire.file("client.pem", &format!("{}{}", certificate.pem(), key.serialize_pem()));
    let credential = Credential::ClientCertificate {
        tenant_id: TENANT.to_owned(),
        client_id: "client".to_owned(),
        pem_file,
    };
    let vault = Vault::connect(&Options { credential, ..wire.options() }).unwrap();
    vault.get(&name(), None, Priority::Interactive).await.unwrap();
    let seen = wire.requests();
    let request = seen.iter().find(|seen| seen.path == format!("/{TENANT}/oauth2/v2.0/token")).unwrap();
    assert!(
        request.body.contains("client_assertion=eyJ") && request.body.contains("jwt-bearer"),
        "{request:?}"
    );
}

#[tokio::test]
async fn a_workload_sends_its_federated_token_and_takes_its_tenant_from_the_configuration() {
    let wire = Wire::start(|_| secret());
    let credential = Credential::WorkloadIdentity {
        client_id: Some("client".to_owned()),
        tenant_id: Some(TENANT.to_owned()),
        token_file: Some(wire.file("token", "federated")),
    };
    let vault = Vault::connect(&Options { credential, ..wire.options() }).unwrap();
    vault.get(&name(), None, Priority::Interactive).await.unwrap();
    assert!(wire.requests().iter().any(|seen| seen.body.contains("client_assertion=federated")));
    assert_eq!(vault.tenant_id().as_deref(), Some(TENANT));
}

#[tokio::test]
async fn a_renewed_token_file_is_read_soon_after_the_old_one_was_refused() {
    let refusal = json!({"error": "invalid_client", "error_description": "AADSTS700024: expired."});
    let wire = Wire::with_tokens(
        |_| secret(),
        move |seen| match seen.body.contains("client_assertion=renewed") {
            true => token(TOKEN),
            false => (StatusCode::UNAUTHORIZED, axum::Json(refusal.clone())).into_response(),
        },
    );
    let credential = Credential::WorkloadIdentity {
        client_id: Some("client".to_owned()),
        tenant_id: Some(TENANT.to_owned()),
        token_file: Some(wire.file("token", "stale")),
    };
    let vault = Vault::connect(&Options { credential, ..wire.options() }).unwrap();
    let VaultError::Unauthenticated(why) = refused(&vault).await else { panic!() };
    assert!(why.contains("AADSTS700024"), "{why}");
    wire.file("token", "renewed");
    vault.get(&name(), None, Priority::Interactive).await.unwrap();
}

#[tokio::test]
async fn the_tenant_of_the_challenge_is_known_where_none_is_configured() {
    let wire = Wire::start(|_| secret());
    let credential = Credential::AzureCli { tenant_id: None };
    let vault = Vault::connect(&Options { credential, ..wire.options() }).unwrap();
    assert_eq!(vault.tenant_id(), None);
    // Whether there is a CLI here that someone is signed in to or not: the challenge came.
    let _ = vault.get(&name(), None, Priority::Interactive).await;
    assert_eq!(vault.tenant_id().as_deref(), Some(OTHER_TENANT));
}

#[tokio::test]
async fn an_unusable_credential_is_reported_before_anything_is_sent() {
    let wire = Wire::start(|_| secret());
    let workload = |token_file| Credential::WorkloadIdentity {
        client_id: Some("client".to_owned()),
        tenant_id: Some(TENANT.to_owned()),
        token_file: Some(token_file),
    };
    let empty = Credential::ClientSecret {
        tenant_id: "not a tenant".to_owned(),
        client_id: "client".to_owned(),
        secret: SecretString::from(CLIENT_SECRET),
    };
    let plain = Cloud::Custom { authority_host: Url::parse("http://localhost/").unwrap() };
    for (what, options) in [
        ("https://", Options { uri: Url::parse("http://localhost/").unwrap(), ..wire.options() }),
        ("CA file", Options { ca_file: Some("/nonexistent/ca.pem".into()), ..wire.options() }),
        ("CA file", Options { ca_file: Some(wire.file("empty.pem", "")), ..wire.options() }),
        ("tenant", Options { credential: empty, ..wire.options() }),
        ("token", Options { credential: workload("/nonexistent/token".into()), ..wire.options() }),
        ("HTTPS", Options { cloud: plain, ..wire.options() }),
    ] {
        let error = Vault::connect(&options).err().expect(what);
        safe(&error);
        assert!(matches!(&error, VaultError::Configuration(why) if why.contains(what)), "{what}: {error}");
    }
    assert!(wire.requests().is_empty());
}
