//! Calls beside calls, and calls beside the reconciler and others at the edge and in the vault: what one was answered stands,
//! and no state is told that nobody looked at.

mod acknowledgements;
mod freshness;
mod other_managers;
mod request_ids;
mod unstored_values;
mod workers;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use key_vault_double::{OnOperation, Operation, VaultFault};
use kube::{
    ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use kubernetes_double::{ClusterFault, Fault, FaultRule, OnResource};
use secret_service::{
    edge::{FIELD_MANAGER, UID_LABEL},
    proto::{
        AddVaultSecretVersionRequest, AdoptSyncedSecretRequest, CreateSyncedSecretRequest,
        CreateVaultSecretRequest, DeleteSyncedSecretRequest, GetVaultRequest, ListVaultSecretVersionsRequest,
        SyncSyncedSecretRequest, SyncedSecret, UpdateSyncedSecretRequest, synced_secret::State,
    },
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Options, PATIENCE, World, requests::*, written};

fn delay(seconds: u64) -> Fault {
    Fault::latency(Duration::from_secs(seconds))
}

fn unavailable() -> Fault {
    Fault::status(503, "ServiceUnavailable")
}

async fn merge(world: &World, id: &str, patch: serde_json::Value) {
    world.secrets().patch(id, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Waits until the vault was asked so often.
async fn asked(world: &World, operation: Operation, times: u64) {
    let begun = Instant::now();
    while world.vault.requests().of(operation) < times {
        assert!(begun.elapsed() < PATIENCE, "the vault is never asked");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn versions(world: &mut World, vault_secret: &str) -> usize {
    let request = ListVaultSecretVersionsRequest { parent: vault_name(vault_secret), ..Default::default() };
    world.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions.len()
}
