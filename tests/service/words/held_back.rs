//! All keys of a Secret change together: a reference that waits for another one says for which, and why.

use secret_service::proto::{SyncedSecret, synced_secret::State};

use crate::support::{World, requests::*};

fn problem(secret: &SyncedSecret, place: usize) -> (&str, &str) {
    let problem = secret.references[place].problem.as_ref().unwrap_or_else(|| panic!("{secret:#?}"));
    (&problem.reason, &problem.message)
}

#[tokio::test]
async fn a_reference_that_waits_for_another_one_says_for_which_and_why() {
    let mut world = World::start().await;
    for name in ["user", "pass", "token"] {
        world.seed(name, "1").await;
    }
    world.create("a", vec![existing("username", "user"), existing("password", "pass")]).await;

    world.somebody.enables("pass", false).await;
    // The third one never was at the edge.
    let references =
        vec![existing("username", "user"), existing("password", "pass"), existing("token", "token")];
    let told =
        world.client.update_synced_secret(with_references("a", references)).await.unwrap().into_inner();

    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "VaultSecretDisabled"), "{told:#?}");
    assert!(told.references[0].problem.is_none(), "the edge holds it: {told:#?}");
    let (reason, message) = problem(&told, 2);
    assert_eq!(reason, "HeldBack");
    for word in ["\"password\"", "\"pass\"", "VaultSecretDisabled", "change together"] {
        assert!(message.contains(word), "{word}: {message}");
    }

    world.somebody.enables("pass", true).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    let mended = world.until_state("a", State::Synced).await;
    assert!(mended.references.iter().all(|reference| reference.problem.is_none()), "{mended:#?}");
    assert_eq!(world.edge("a").await.unwrap()["token"], "1");
}

#[tokio::test]
async fn a_reference_that_waits_for_several_names_all_of_them() {
    let mut world = World::start().await;
    for name in ["user", "pass", "token"] {
        world.seed(name, "1").await;
    }
    world.create("a", vec![existing("username", "user"), existing("password", "pass")]).await;
    world.somebody.enables("pass", false).await;
    world.somebody.deletes("user").await;
    let references =
        vec![existing("username", "user"), existing("password", "pass"), existing("token", "token")];
    let told =
        world.client.update_synced_secret(with_references("a", references)).await.unwrap().into_inner();
    let (reason, message) = problem(&told, 2);
    assert_eq!(reason, "HeldBack");
    assert!(message.contains("\"username\"") && message.contains("\"password\""), "{message}");
}
