//! A vault secret that was deleted and can be recovered.

use key_vault_double::{FaultRule, OnOperation, Operation, VaultFault};
use secret_service::proto::synced_secret::State;
use tonic::Code;

use crate::support::{World, requests::*};

#[tokio::test]
async fn a_deleted_source_says_that_it_was_deleted_and_how_to_recover_it() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.somebody.deletes("v").await;
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();

    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "VaultSecretDeleted"), "{told:#?}");
    let problem = told.references[0].problem.as_ref().unwrap();
    assert_eq!(problem.reason, "VaultSecretDeleted");
    for message in [&told.conditions[0].message, &problem.message] {
        for word in ["was deleted", "az keyvault secret recover", "--name v", "vault recover v"] {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
    assert_eq!(world.edge("a").await.unwrap()["k"], "value");

    world.somebody.recovers("v").await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn a_reference_to_a_deleted_vault_secret_is_refused_as_such() {
    let mut world = World::start().await;
    world.seed("gone", "value").await;
    world.somebody.deletes("gone").await;
    let request = create("a", vec![existing("k", "gone")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "VAULT_SECRET_DELETED"));
    assert_eq!(refused.fields, ["synced_secret.references[0].vault_secret"]);
    assert!(refused.message.contains("vault recover gone"), "{}", refused.message);
    let request = create("a", vec![existing("k", "never-was")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "VAULT_SECRET_NOT_FOUND"));
    assert!(!refused.message.contains("deleted"), "{}", refused.message);
}

#[tokio::test]
async fn who_may_not_see_deleted_secrets_says_what_is_known() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.somebody.deletes("v").await;
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGetDeleted));
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "VaultSecretNotFound"), "{told:#?}");
    let message = &told.conditions[0].message;
    for word in ["may not see deleted secrets", "az keyvault secret recover", "Key Vault Reader"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}
