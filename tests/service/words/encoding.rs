//! Values in base64 and hex.

use secret_service::{
    model::SyncEngine,
    proto::{SecretReference, SyncedSecret, secret_reference::Encoding, synced_secret::State},
};

use crate::support::{World, engine, requests::*};

/// What `base64 FILE` prints of 120 bytes of text: three lines.
const WRAPPED: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2\n\
                       Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\n\
                       NDU2Nzg5\n";

fn encoded(key: &str, vault_secret: &str, encoding: Encoding) -> SecretReference {
    let mut reference = existing(key, vault_secret);
    reference.set_encoding(encoding);
    reference
}

fn bytes() -> String {
    "0123456789".repeat(12)
}

#[tokio::test]
async fn base64_with_line_breaks_gives_the_same_bytes_in_both_engines() {
    let mut world = World::start().await;
    world.seed("wrapped", WRAPPED).await;
    world.seed("windows", &WRAPPED.replace('\n', "\r\n")).await;
    let references =
        vec![encoded("unix", "wrapped", Encoding::Base64), encoded("dos", "windows", Encoding::Base64)];
    let made = world.create("a", references).await;
    assert_eq!(made.state(), State::Synced, "{made:?}");
    let edge = world.edge("a").await.unwrap();
    assert_eq!((&edge["unix"], &edge["dos"]), (&bytes(), &bytes()));

    // "Create new" checks the value in both engines before it is stored.
    let mut reference = created("k", "fresh", WRAPPED);
    reference.set_encoding(Encoding::Base64);
    let made = world.create("b", vec![reference]).await;
    assert_eq!(made.state(), State::Synced, "{made:?}");
    assert_eq!(world.edge("b").await.unwrap()["k"], bytes());
}

#[tokio::test]
async fn a_value_in_another_encoding_is_told_with_its_key_and_its_encoding_and_never_shown() {
    let mut world = World::start().await;
    world.seed("good", "b3BlcmF0b3I=").await;
    world.seed("later", "NTY3OA==").await;
    let references =
        vec![encoded("username", "good", Encoding::Base64), encoded("password", "later", Encoding::Base64)];
    world.create("a", references).await;

    world.somebody.sets("later", "hunter2!").await;
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();

    assert_eq!(told.state(), State::Degraded, "{told:?}");
    // With the extension, the Secret may hold some new values and some old ones.
    assert!(["InvalidEncoding", "PartiallySynced"].contains(&synced_reason(&told)), "{told:?}");
    let problem = told.references[1].problem.clone().unwrap();
    assert_eq!(problem.reason, "InvalidEncoding", "{told:?}");
    for message in [&told.conditions[0].message, &problem.message] {
        for word in ["\"password\"", "\"later\"", "not valid base64", "UpdateSyncedSecret"] {
            assert!(message.contains(word), "{word}: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }
    let edge = world.edge("a").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("operator", "5678"));
    world.somebody.sets("later", "OTk=").await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["password"], "99");
}

#[tokio::test]
async fn a_call_with_a_wrong_encoding_is_refused_with_the_key_and_the_encoding_where_the_value_is_known() {
    let mut world = World::start().await;
    let mut reference = created("pin", "fresh", "hunter2!");
    reference.set_encoding(Encoding::Base64);
    let refused = told(&world.client.create_synced_secret(create("a", vec![reference])).await.unwrap_err());
    let mut all = vec![refused];
    if engine() == SyncEngine::Direct {
        world.seed("there", "hunter2!").await;
        let request = create("a", vec![encoded("pin", "there", Encoding::Base64)]);
        all.push(told(&world.client.create_synced_secret(request).await.unwrap_err()));
        world.create("b", vec![existing("pin", "there")]).await;
        let wanted = SyncedSecret {
            name: name("b"),
            references: vec![encoded("pin", "there", Encoding::Hex)],
            ..SyncedSecret::default()
        };
        all.push(told(
            &world.client.update_synced_secret(update(wanted, &["references"])).await.unwrap_err(),
        ));
    }
    for refused in all {
        assert!(
            refused.message.contains("\"pin\"") || refused.fields[0].ends_with("encoding"),
            "{}",
            refused.message
        );
        assert!(refused.message.contains("not valid"), "{}", refused.message);
        assert!(!refused.message.contains("hunter2"), "{}", refused.message);
    }
}
