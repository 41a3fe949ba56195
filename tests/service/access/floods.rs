//! Floods by who has few rights or none: whoever makes them waits for them, and nobody else does.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use secret_service::{
    doubles::vault::{Action, Operation, Rule},
    proto::*,
};
use tokio::time::Instant;
use tonic::Status;

use super::world;
use crate::support::{
    World,
    callers::{AUDIENCE, Caller},
    requests::*,
};

async fn caller(world: &World, account: &str) -> Caller {
    world.caller(Some(&world.token(account, AUDIENCE).await)).await
}

/// How many answers there are of each reason.
fn reasons<T>(answers: &[Result<T, Status>]) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for answer in answers {
        let reason = answer.as_ref().err().map_or_else(|| "OK".to_owned(), |status| told(status).reason);
        *reasons.entry(reason).or_default() += 1;
    }
    reasons
}

#[tokio::test]
async fn who_floods_the_vault_makes_nobody_wait_but_itself() {
    let world = world(|_| {}).await;
    world.seed("there", "canary-there").await;
    // On two connections: one bears fewer calls at a time.
    let viewers = [caller(&world, "viewer").await, caller(&world, "viewer").await];
    let mut editor = caller(&world, "editor").await;
    let slow = Action::Delay { duration: Duration::from_millis(500) };
    world.vault.faults().add(Rule::new(slow).on(Operation::SecretListVersions));
    let versions = (0..400).map(|number| {
        let mut viewer = viewers[number % 2].clone();
        async move {
            let request =
                ListVaultSecretVersionsRequest { parent: vault_name("there"), ..Default::default() };
            viewer.list_vault_secret_versions(request).await
        }
    });
    let flooding = tokio::spawn(join_all(versions));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    editor.get_vault_secret(GetVaultSecretRequest { name: vault_name("there") }).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?} for an answer that takes half a second");
    let answers = flooding.await.unwrap();
    let reasons = reasons(&answers);
    assert!(reasons["OK"] > 0 && reasons["VAULT_TOO_MANY_WAIT"] > 0, "{reasons:?}");
}
