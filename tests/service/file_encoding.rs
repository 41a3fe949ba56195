//! Files as vault secrets, as Azure IoT Operations keeps certificates: encoded, with a tag that says how.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use key_vault_double::{Fault, FaultRule};
use secret_service::proto::{secret_reference::Encoding, *};
use tonic::Code;

use crate::support::{Options, World, requests::*, search::files_with};

const TAG: &str = "file-encoding";

fn data(id: &str, data: &[u8]) -> CreateVaultSecretRequest {
    let secret = NewVaultSecret { data: data.to_vec(), ..Default::default() };
    CreateVaultSecretRequest { vault_secret_id: id.to_owned(), secret: Some(secret), ..Default::default() }
}

fn encoded(key: &str, vault_secret: &str, encoding: Encoding) -> SecretReference {
    SecretReference { encoding: encoding.into(), ..existing(key, vault_secret) }
}

/// The reason and the message of the condition `Encoded`, where there is one.
fn warned(secret: &SyncedSecret) -> Option<(String, String)> {
    let warned = condition_of(&secret.conditions, "Encoded");
    warned.map(|condition| (condition.reason.clone(), condition.message.clone()))
}

#[tokio::test]
async fn bytes_are_stored_in_hex_and_the_tag_and_the_content_type_say_so() {
    let mut world = World::start().await;
    let key = rcgen::generate_simple_self_signed(["pump".to_owned()]).unwrap();
    let (pem, der) = (key.cert.pem(), key.cert.der().to_vec());
    for (id, bytes, content_type) in [
        ("pem", pem.as_bytes(), "application/x-pem-file"),
        ("der", &der, "application/pkix-cert"),
        ("any", &[0, 255, 7], ""),
    ] {
        let made = world.client.create_vault_secret(data(id, bytes)).await.unwrap().into_inner();
        assert_eq!((made.content_type.as_str(), made.tags[TAG].as_str()), (content_type, "hex"), "{id}");
        assert_eq!(made.encoding(), Encoding::Hex);
        assert_eq!(world.somebody.reads(id).await, hex::encode(bytes));
    }
    let mut base64 = data("base64", &[0, 255, 7]);
    base64.secret.as_mut().unwrap().encoding = Encoding::Base64.into();
    base64.secret.as_mut().unwrap().content_type = "application/octet-stream".to_owned();
    let made = world.client.create_vault_secret(base64).await.unwrap().into_inner();
    assert_eq!((made.tags[TAG].as_str(), made.content_type.as_str()), ("base64", "application/octet-stream"));
    assert_eq!(world.somebody.reads("base64").await, "AP8H");
}

#[tokio::test]
async fn bytes_are_found_in_no_file_and_no_answer() {
    const CANARY: &[u8] = b"canary-5d20-bytes";
    let mut world = World::start().await;
    let request = data("file", CANARY);
    assert!(!format!("{request:?}").contains("canary"), "{request:?}");
    let stored = world.client.create_vault_secret(request).await.unwrap();
    let made = world.create("a", vec![existing("k", "file")]).await;
    let rotated =
        AddVaultSecretVersionRequest { secret: data("", CANARY).secret, ..add_version("file", "unused") };
    let rotated = world.client.add_vault_secret_version(rotated).await.unwrap();
    let mut both = data("both", CANARY);
    both.secret.as_mut().unwrap().value = "canary".to_owned();
    let refused = world.client.create_vault_secret(both).await.unwrap_err();
    assert_eq!(world.edge("a").await.unwrap()["k"].as_bytes(), CANARY);

    let audit = world.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap();
    let answers = format!("{stored:?} {made:?} {rotated:?} {refused:?} {audit:?}");
    for form in [CANARY.to_vec(), hex::encode(CANARY).into_bytes(), STANDARD.encode(CANARY).into_bytes()] {
        let (files, found) = files_with(&form, world.directory());
        assert!(files > 5 && found.is_empty(), "bytes stand in {found:?}");
        assert!(!answers.contains(str::from_utf8(&form).unwrap()), "{answers}");
    }
}

#[tokio::test]
async fn data_that_can_not_be_stored_so_is_refused() {
    let mut world = World::start().await;
    let with = |change: fn(&mut NewVaultSecret)| {
        let mut request = data("x", b"pump");
        change(request.secret.as_mut().unwrap());
        request
    };
    for (request, field) in [
        (with(|new| new.value = "too".to_owned()), "secret.data"),
        (with(|new| new.data = vec![1; 12_801]), "secret.data"),
        (with(|new| (new.data, new.encoding) = (vec![255], Encoding::Utf8.into())), "secret.data"),
        (with(|new| drop(new.tags.insert(TAG.to_owned(), "base64".to_owned()))), "secret.tags"),
        (with(|new| new.data.clear()), "secret.value"),
        (
            with(|new| {
                (new.data, new.value, new.encoding) = (vec![], "pump".to_owned(), Encoding::Hex.into());
            }),
            "secret.encoding",
        ),
    ] {
        let refused = told(&world.client.create_vault_secret(request).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.fields.as_slice()),
            (Code::InvalidArgument, &[field.to_owned()][..])
        );
    }
}

#[tokio::test]
async fn a_reference_without_an_encoding_takes_that_of_the_tag() {
    let mut world = World::start().await;
    world.client.create_vault_secret(data("cert", b"pump")).await.unwrap();
    let mut made = create("a", vec![existing("ca.crt", "cert")]);
    made.validate_only = true;
    let would_be = world.client.create_synced_secret(made.clone()).await.unwrap().into_inner();
    assert_eq!(would_be.references[0].encoding(), Encoding::Hex);
    made.validate_only = false;
    let secret = world.client.create_synced_secret(made).await.unwrap().into_inner();
    assert_eq!((secret.references[0].encoding(), warned(&secret)), (Encoding::Hex, None));
    assert_eq!(world.edge("a").await.unwrap()["ca.crt"], "pump");

    // "Create new" of a file, and an update that adds a reference.
    let new = NewVaultSecret { data: b"valve".to_vec(), ..Default::default() };
    let created = SecretReference { create: Some(new), ..existing("k", "fresh") };
    let secret = world.create("b", vec![created]).await;
    assert_eq!(secret.references[0].encoding(), Encoding::Hex);
    assert_eq!(world.edge("b").await.unwrap()["k"], "valve");
    let both = vec![existing("k", "fresh"), existing("l", "cert")];
    world.client.update_synced_secret(with_references("b", both)).await.unwrap();
    let edge = world.edge("b").await.unwrap();
    assert_eq!((edge["k"].as_str(), edge["l"].as_str()), ("valve", "pump"));
}

#[tokio::test]
async fn an_encoding_that_differs_from_the_tag_is_told_until_it_does_not() {
    let mut world = World::start().await;
    world.client.create_vault_secret(data("cert", b"pump")).await.unwrap();
    let raw = || encoded("k", "cert", Encoding::Utf8);
    let secret = world.create("a", vec![raw()]).await;
    let (reason, message) = warned(&secret).unwrap();
    assert_eq!(reason, "EncodingDiffersFromTag");
    assert!(message.contains("\"k\"") && message.contains("utf-8") && message.contains("hex"), "{message}");
    assert!(!message.contains("UpdateVaultSecret"), "nothing looks at the tag again: {message}");
    assert_eq!(world.edge("a").await.unwrap()["k"], hex::encode("pump"), "the caller's word counts");

    // What was read and is sent back stays, and stays told.
    let read = world.get("a").await;
    let same = vec![read.references[0].clone(), existing("l", "cert")];
    let added = world.client.update_synced_secret(with_references("a", same)).await.unwrap().into_inner();
    assert!(warned(&added).unwrap().1.contains("\"k\""), "{added:?}");
    let edge = world.edge("a").await.unwrap();
    assert_eq!((edge["k"].as_str(), edge["l"].as_str()), (hex::encode("pump").as_str(), "pump"));

    let right = vec![encoded("k", "cert", Encoding::Hex), existing("l", "cert")];
    let mended = world.client.update_synced_secret(with_references("a", right)).await.unwrap().into_inner();
    assert_eq!(warned(&mended), None);
    assert_eq!(world.edge("a").await.unwrap()["k"], "pump");
}

#[tokio::test]
async fn a_new_version_of_a_file_keeps_its_other_tags_and_its_encoding() {
    let mut world = World::start().await;
    let mut request = data("cert", b"-----BEGIN CERTIFICATE-----");
    request.secret.as_mut().unwrap().tags.insert("line".to_owned(), "4".to_owned());
    world.client.create_vault_secret(request).await.unwrap();
    let file = NewVaultSecret { data: b"-----BEGIN 2".to_vec(), ..Default::default() };
    let next = AddVaultSecretVersionRequest { secret: Some(file), ..add_version("cert", "") };
    let added = world.client.add_vault_secret_version(next).await.unwrap().into_inner();
    assert_eq!((added.tags["line"].as_str(), added.tags[TAG].as_str()), ("4", "hex"));
    assert_eq!(added.content_type, "application/x-pem-file");
    // A value that the kept tag would lie about.
    let refused =
        told(&world.client.add_vault_secret_version(add_version("cert", "-----BEGIN")).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields.as_slice()),
        (Code::InvalidArgument, &["secret.value".to_owned()][..])
    );
    world.client.add_vault_secret_version(add_version("cert", "2d2d")).await.unwrap();
}

fn add_data(id: &str, data: &[u8]) -> AddVaultSecretVersionRequest {
    let secret = NewVaultSecret { data: data.to_vec(), ..Default::default() };
    AddVaultSecretVersionRequest { secret: Some(secret), ..add_version(id, "") }
}

/// Times in the vault have whole seconds: the next version is the latest for sure.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

#[tokio::test]
async fn new_bytes_are_stored_in_the_encoding_of_the_version_before() {
    let mut world = World::start().await;
    let mut base64 = data("base64", b"pump");
    base64.secret.as_mut().unwrap().encoding = Encoding::Base64.into();
    world.client.create_vault_secret(base64).await.unwrap();
    world.client.create_vault_secret(create_vault_secret("plain", "-----BEGIN 1")).await.unwrap();
    world.create("a", vec![existing("k", "base64"), existing("l", "plain")]).await;
    next_second().await;
    // Hex of an even number of bytes is valid base64.
    let added =
        world.client.add_vault_secret_version(add_data("base64", b"valves")).await.unwrap().into_inner();
    assert_eq!(added.tags[TAG], "base64");
    assert_eq!(world.somebody.reads("base64").await, "dmFsdmVz");
    let added =
        world.client.add_vault_secret_version(add_data("plain", b"-----BEGIN 2")).await.unwrap().into_inner();
    assert_eq!((added.tags[TAG].as_str(), added.content_type.as_str()), ("utf-8", "application/x-pem-file"));
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    let edge = world.edge("a").await.unwrap();
    assert_eq!((edge["k"].as_str(), edge["l"].as_str()), ("valves", "-----BEGIN 2"));
}

#[tokio::test]
async fn new_bytes_that_the_references_would_not_decode_are_refused() {
    let mut world = World::start().await;
    world.client.create_vault_secret(create_vault_secret("plain", "706d")).await.unwrap();
    let refused =
        told(&world.client.add_vault_secret_version(add_data("plain", &[255, 0])).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields.as_slice()),
        (Code::InvalidArgument, &["secret.encoding".to_owned()][..])
    );
    world.create("a", vec![encoded("k", "plain", Encoding::Hex)]).await;
    world.client.create_vault_secret(data("cert", b"pump")).await.unwrap();
    world.create("b", vec![existing("k", "cert")]).await;
    let named = |id: &str, encoding: Encoding| {
        let mut request = add_data(id, b"pump");
        request.secret.as_mut().unwrap().encoding = encoding.into();
        request
    };
    for (request, user) in [
        (add_data("plain", b"pump"), "syncedSecrets/a"),
        (named("cert", Encoding::Base64), "syncedSecrets/b"),
    ] {
        let refused = told(&world.client.add_vault_secret_version(request).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.fields.as_slice()),
            (Code::InvalidArgument, &["secret.encoding".to_owned()][..])
        );
        assert!(refused.message.contains(user), "{}", refused.message);
    }
    next_second().await;
    world.client.add_vault_secret_version(named("plain", Encoding::Hex)).await.unwrap();
    world.client.delete_synced_secret(delete("b")).await.unwrap();
    world.client.add_vault_secret_version(named("cert", Encoding::Base64)).await.unwrap();
    assert_eq!(world.somebody.reads("plain").await, hex::encode("pump"), "as the reference says");
}

#[tokio::test]
async fn a_reference_that_is_sent_again_keeps_the_encoding_that_it_took_from_the_tag() {
    let mut world =
        World::start_with(Options { vault_timeout: Duration::from_secs(3), ..Options::default() }).await;
    world.client.create_vault_secret(data("cert", b"pump")).await.unwrap();
    let secret = world.create("a", vec![existing("k", "cert")]).await;
    assert_eq!(secret.references[0].encoding(), Encoding::Hex);
    next_second().await;
    // A version without the tag.
    world.somebody.sets("cert", &hex::encode("valve")).await;
    let request = with_references("a", vec![existing("k", "cert")]);
    let same = world.client.update_synced_secret(request.clone()).await.unwrap().into_inner();
    assert_eq!((same.references[0].encoding(), same.etag), (Encoding::Hex, secret.etag));
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(world.edge("a").await.unwrap()["k"], "valve");
    // Nothing is asked of the vault for it.
    world.vault.faults().add(FaultRule::new(Fault::status(503, "ServiceUnavailable")));
    let same = world.client.update_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(same.references[0].encoding(), Encoding::Hex);
}
