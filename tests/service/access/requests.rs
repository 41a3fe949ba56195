//! A request id is its caller's: somebody else's call with the same id and the same content is another call.

use std::time::Duration;

use key_vault_double::{Fault, FaultRule, OnOperation, Operation};
use secret_service::proto::{AddVaultSecretVersionRequest, CreateSyncedSecretRequest};
use tonic::Code;
use uuid::Uuid;

use super::world;
use crate::support::{
    callers::{AUDIENCE, BOTH, EVERYTHING},
    requests::*,
};

#[tokio::test]
async fn a_caller_never_gets_the_response_to_the_same_call_of_another_caller() {
    let world = world(|_| {}).await;
    world.account("another", &BOTH, &EVERYTHING, &[]).await;
    world.seed("pump", "1").await;
    let mut first = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    let mut second = world.caller(Some(&world.token("another", AUDIENCE).await)).await;

    let request =
        AddVaultSecretVersionRequest { request_id: Uuid::new_v4().to_string(), ..add_version("pump", "2") };
    let slow = Fault::latency(Duration::from_secs(1));
    world.vault.faults().add(FaultRule::new(slow).on(Operation::SecretSet));
    let (of_first, of_second) = tokio::join!(
        first.add_vault_secret_version(request.clone()),
        second.add_vault_secret_version(request.clone())
    );
    let (of_first, of_second) = (of_first.unwrap().into_inner(), of_second.unwrap().into_inner());
    assert_ne!(of_first.name, of_second.name, "side by side");
    world.vault.faults().clear();
    for (caller, answer) in [(&mut first, &of_first), (&mut second, &of_second)] {
        let again = caller.add_vault_secret_version(request.clone()).await.unwrap().into_inner();
        assert_eq!(again.name, answer.name, "each gets its own answer again");
    }

    let request = CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("edp1", vec![existing("k", "pump")])
    };
    first.create_synced_secret(request.clone()).await.unwrap();
    let refused = told(&second.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::AlreadyExists, "SYNCED_SECRET_EXISTS"));
}
