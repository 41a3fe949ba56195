//! What statuses of a SecretSync mean, by example.

use super::*;

fn condition(r#type: &str, status: &str, reason: &str, message: &str) -> SyncCondition {
    SyncCondition {
        r#type: r#type.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: None,
    }
}

fn status(hash: &str, conditions: &[SyncCondition]) -> SecretSyncStatus {
    SecretSyncStatus {
        conditions: conditions.to_vec(),
        sync_hash: hash.to_owned(),
        last_successful_sync_time: None,
    }
}

fn reason_of(condition: SyncCondition) -> Reason {
    match sync_outcome(Some(&status("new", &[condition])), "old") {
        SyncOutcome::Failed(failed) => failed.reason,
        other => panic!("{other:?}"),
    }
}

fn good() -> [SyncCondition; 2] {
    [
        condition("SecretCreated", "True", "CreateSuccessful", ""),
        condition("SecretUpdated", "True", "SecretUpToDate", ""),
    ]
}

#[test]
fn a_sync_is_complete_when_the_hash_changed_and_no_condition_is_false() {
    assert_eq!(sync_outcome(Some(&status("new", &good())), "old"), SyncOutcome::Synced);
    assert_eq!(sync_outcome(Some(&status("new", &good())), ""), SyncOutcome::Synced);
    assert_eq!(
        sync_outcome(Some(&status("old", &good())), "old"),
        SyncOutcome::Unanswered,
        "that is of before"
    );
    assert_eq!(sync_outcome(None, ""), SyncOutcome::Unanswered);
    assert_eq!(sync_outcome(Some(&status("", &[])), ""), SyncOutcome::Unanswered);
    let starting = [
        condition("SecretCreated", "Unknown", "SyncStarting", ""),
        condition("SecretUpdated", "Unknown", "NoUpdatesAttemptedYet", ""),
    ];
    assert_eq!(sync_outcome(Some(&status("", &starting)), ""), SyncOutcome::Unanswered);
}

#[test]
fn one_false_condition_outweighs_a_true_one() {
    let side_by_side = [
        condition("SecretCreated", "False", "ControllerPatchError", "conflict with kubectl"),
        condition("SecretUpdated", "True", "SecretUpToDate", ""),
    ];
    let SyncOutcome::Failed(failed) = sync_outcome(Some(&status("new", &side_by_side)), "old") else {
        panic!()
    };
    assert_eq!(failed.reason, Reason::EdgeConflict);
    assert!(failed.message.contains("ControllerPatchError (SecretCreated): conflict with kubectl."));
}

#[test]
fn a_provider_error_gets_the_vault_reason() {
    for (said, reason) in [
        ("code: SecretNotFound", Reason::VaultSecretNotFound),
        ("Forbidden ... ForbiddenByRbac", Reason::VaultForbidden),
        ("Forbidden ... ForbiddenByFirewall", Reason::VaultFirewall),
        ("Forbidden ... SecretDisabled", Reason::VaultSecretDisabled),
        ("failed to get objectType:cert, objectName:a: RESPONSE 403: Forbidden", Reason::VaultForbidden),
        ("AADSTS700016: no such application", Reason::VaultUnauthenticated),
        ("StatusCode=429", Reason::VaultThrottled),
        ("whatever", Reason::ExtensionFailed),
    ] {
        assert_eq!(reason_of(condition("SecretUpdated", "False", "ProviderError", said)), reason, "{said}");
    }
}

#[test]
fn the_first_bytes_of_a_value_that_go_shows_are_left_out() {
    for (said, reason) in [
        (
            "failed to get cert data for tls.key: pkcs12: error reading P12 data: asn1: structure error: tags don't match (16 vs \
             {class:1 tag:8 length:117 isCompound:true}) {optional:false} pfxPdu @2",
            Reason::InvalidCertificate,
        ),
        ("encoding/hex: invalid byte: U+0068 'h'", Reason::InvalidEncoding),
    ] {
        let condition = condition("SecretUpdated", "False", "RemoteSecretStoreFetchFailed", said);
        assert_eq!(reason_of(condition.clone()), reason);
        let told = format!("{:?}", sync_outcome(Some(&status("new", &[condition])), "old"));
        assert!(!told.contains("117") && !told.contains("0068") && !told.contains("'h'"), "{told}");
    }
}

#[test]
fn the_status_of_the_vaults_answer_decides_where_its_code_is_not_azures() {
    let dump = |status: &str, code: &str| {
        format!("GET https://vault/secrets/pump\n---\nRESPONSE {status}\nERROR {code}\n---\n{{}}")
    };
    let of_java = "CODE: com.github.nagyesta.lowkeyvault.service.exception.NotFoundException";
    let of_net = "CODE: Failed to perform request into Azure Key Vault Emulator";
    for (said, reason) in [
        (dump("404: 404 Not Found", of_java), Reason::VaultSecretNotFound),
        (dump("404: 404 Not Found", of_net), Reason::VaultSecretNotFound),
        (dump("404: 404 Not Found", "CODE UNAVAILABLE"), Reason::VaultUnreachable),
        (dump("403: 403", "CODE: com.example.AccessDenied"), Reason::VaultForbidden),
        (dump("429: 429", "CODE UNAVAILABLE"), Reason::VaultThrottled),
        ("version 4290 of pump-404 is odd".to_owned(), Reason::ExtensionFailed),
    ] {
        assert_eq!(reason_of(condition("SecretUpdated", "False", "ProviderError", &said)), reason, "{said}");
    }
}

#[test]
fn every_known_reason_has_a_meaning_and_unknown_ones_are_passed_on() {
    for (reason, meaning) in [
        ("RemoteSecretStoreFetchFailed", Reason::ExtensionFailed),
        ("SecretProviderClassMisconfigured", Reason::ExtensionFailed),
        ("InvalidClusterSecretLabelError", Reason::EdgeRejected),
        ("InvalidClusterSecretAnnotationError", Reason::EdgeRejected),
        ("ControllerSyncError", Reason::ExtensionFailed),
        ("ControllerPatchError", Reason::ExtensionFailed),
        ("UserInputValidationFailed", Reason::EdgeRejected),
        ("ControllerSpcError", Reason::ExtensionFailed),
        ("ControllerInternalError", Reason::ExtensionFailed),
        ("ValidatingAdmissionPolicyCheckFailed", Reason::EdgeRejected),
        ("ControllerSyncFailed", Reason::ExtensionFailed),
        ("OfTomorrow", Reason::ExtensionFailed),
    ] {
        assert_eq!(reason_of(condition("SecretUpdated", "False", reason, "")), meaning, "{reason}");
    }
    for said in ["secrets \"a\" is forbidden: no right", "admission webhook \"x\" denied the request"] {
        let refused = condition("SecretCreated", "False", "ControllerPatchError", said);
        assert_eq!(reason_of(refused), Reason::EdgeForbidden, "{said}");
    }
    assert_eq!(reason_of(condition("Update", "Unknown", "UnknownError", "")), Reason::ExtensionFailed);
    let SyncOutcome::Failed(failed) =
        sync_outcome(Some(&status("", &[condition("New", "False", "OfTomorrow", "word")])), "")
    else {
        panic!()
    };
    assert!(failed.message.starts_with("The Secret Store extension says OfTomorrow (New): word."));
}

#[test]
fn a_partial_sync_names_the_failed_objects() {
    let said = r#"Partially synced: {"username":"Succeeded","password":"SecretNotFound"}"#;
    let partial = condition("SecretUpdated", "True", "PartialSync", said);
    let SyncOutcome::Failed(failed) = sync_outcome(Some(&status("new", &[partial])), "old") else { panic!() };
    assert_eq!(failed.reason, Reason::PartiallySynced);
    let [left] = failed.objects.as_slice() else { panic!("{failed:?}") };
    assert_eq!((left.path.as_str(), left.reason), ("password", Reason::VaultSecretNotFound));
    assert!(left.message.starts_with("SecretNotFound. Create the vault secret"), "{left:?}");
    assert!(failed.message.contains("password: SecretNotFound"));
    let unreadable = condition("SecretUpdated", "False", "PartialSync", "{[");
    assert_eq!(reason_of(unreadable), Reason::PartiallySynced);
}

#[test]
fn a_disabled_version_in_a_partial_sync_is_told_by_its_own_cause_however_it_is_worded() {
    for said in [
        "Operation get is not allowed on a disabled secret.",
        "StatusCode=403 -- Original Error: Code=\\\"Forbidden\\\" Message=\\\"Operation get is not allowed on a disabled secret.\\\" \
         InnerError={\\\"code\\\":\\\"SecretDisabled\\\"}",
        "RESPONSE 403: 403 Forbidden ERROR CODE: Forbidden SecretDisabled",
    ] {
        let said = format!(r#"{{"username":"Success","password":"{said}"}}"#);
        let partial = condition("SecretUpdated", "False", "PartialSync", &said);
        let SyncOutcome::Failed(failed) = sync_outcome(Some(&status("new", &[partial])), "old") else {
            panic!()
        };
        assert_eq!(failed.reason, Reason::PartiallySynced, "the Secret may be mixed");
        let [left] = failed.objects.as_slice() else { panic!("{failed:?}") };
        assert_eq!((left.path.as_str(), left.reason), ("password", Reason::VaultSecretDisabled), "{said}");
        assert!(failed.message.contains("Enable the vault secret"), "{}", failed.message);
    }
}

#[test]
fn a_proxy_in_the_extensions_way_is_not_taken_for_the_vault() {
    for said in [
        "StatusCode=403 Forbidden: <!DOCTYPE html><html><title>Sign in</title>",
        "proxyconnect tcp: Proxy Authentication Required",
    ] {
        let failed = condition("SecretUpdated", "False", "ProviderError", said);
        assert_eq!(reason_of(failed), Reason::VaultUnreachable, "{said}");
    }
}

#[test]
fn a_refusal_of_the_api_server_gets_the_reason_of_its_message() {
    for (said, reason, next) in [
        (
            r#"Secret "a" is invalid: data: Forbidden: field is immutable when `immutable` is set"#,
            Reason::EdgeRejected,
            "delete the Secret",
        ),
        (r#"Secret "a" is invalid: data[tls.crt]: Required value"#, Reason::EdgeRejected, "add references"),
        (
            r#"Secret "a" is invalid: metadata.labels: Invalid value"#,
            Reason::EdgeRejected,
            "UpdateSyncedSecret",
        ),
        (r#"Apply failed with 1 conflict: conflict with "kubectl-patch""#, Reason::EdgeConflict, "adopted"),
        ("etcdserver: request timed out", Reason::ExtensionFailed, "tries again"),
        (
            r#"secrets "a" is forbidden: unable to create new content in namespace n because it is being terminated"#,
            Reason::NamespaceTerminating,
            "wait until it is gone",
        ),
        (r#"namespaces "n" not found"#, Reason::EdgeRejected, "Create the namespace"),
        (
            r#"Secret "a" is invalid: data: Too long: may not be more than 1048576 bytes"#,
            Reason::TooLarge,
            "Split the references",
        ),
        (
            r#"Secret "a" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes"#,
            Reason::EdgeRejected,
            "shorten the description",
        ),
        (
            r#"Secret "a" is invalid: data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": x"#,
            Reason::EdgeRejected,
            "a JSON object",
        ),
    ] {
        let said = format!("failed to patch secret \"a\": {said}");
        let refused = condition("SecretUpdated", "False", "ControllerPatchError", &said);
        let SyncOutcome::Failed(failed) = sync_outcome(Some(&status("", &[refused])), "") else { panic!() };
        assert_eq!(failed.reason, reason, "{said}");
        assert!(failed.message.contains(next), "{}", failed.message);
    }
}

#[test]
fn a_vault_error_is_one_sentence_with_its_cause_and_belongs_to_its_object() {
    let said = format!(
        "rpc error: code = Unknown desc = failed to mount secrets store objects: {} failed to mount objects, error: failed to \
         get objectType:secret, objectName:pump-pass, objectVersion:: keyvault.BaseClient#GetSecret: Failure responding to \
         request: StatusCode=403 -- Original Error: autorest/azure: Service returned an error. Status=403 Code=\"Forbidden\" \
         Message=\"Operation get is not allowed on a disabled secret.\" InnerError={{\"code\":\"SecretDisabled\"}}",
        "through this and that, ".repeat(30)
    );
    let failed = condition("SecretUpdated", "False", "ProviderError", &said);
    let SyncOutcome::Failed(failed) = sync_outcome(Some(&status("", &[failed])), "") else { panic!() };
    assert_eq!(failed.reason, Reason::VaultSecretDisabled);
    assert_eq!(
        failed.message,
        "The Secret Store extension says ProviderError (SecretUpdated): the vault secret \"pump-pass\": Operation get is not \
         allowed on a disabled secret. Enable the vault secret, or refer to another version."
    );
    assert!(failed.is_about("pump-pass") && !failed.is_about("pump"), "{failed:?}");
    for (said, reason) in [
        ("illegal base64 data at input byte 4", Reason::InvalidEncoding),
        ("encoding/hex: invalid byte: U+006E 'n'", Reason::InvalidEncoding),
        ("dial tcp: lookup contoso.vault.azure.net: no such host", Reason::VaultUnreachable),
        ("key 'ca.crt' is not supported. Only 'tls.key' and 'tls.crt' are supported", Reason::EdgeRejected),
    ] {
        assert_eq!(
            reason_of(condition("SecretUpdated", "False", "RemoteSecretStoreFetchFailed", said)),
            reason
        );
    }
}

#[test]
fn a_dump_is_shortened_to_a_line() {
    let dump = "GET https://x\n".repeat(100);
    let SyncOutcome::Failed(failed) =
        sync_outcome(Some(&status("", &[condition("SecretCreated", "False", "ProviderError", &dump)])), "")
    else {
        panic!()
    };
    assert!(failed.message.len() < 600 && !failed.message.contains('\n'), "{}", failed.message);
}
