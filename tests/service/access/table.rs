//! Five callers, all methods: who is let in where.

use secret_service::proto::*;
use tonic::{Code, Status};

use super::world;
use crate::support::{
    callers::{AUDIENCE, Caller},
    requests::*,
    script::say,
};

/// What a call ended with. A caller that is let in may be told anything but that it isn't.
fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

/// Calls every method of the contract, in an order in which whoever may do everything succeeds with each.
async fn call_all(caller: &mut Caller, who: &str) -> Vec<(&'static str, Code)> {
    let own = format!("of-{who}");
    let (synced, secret) = (name(&own), vault_name(&own));
    let described =
        SyncedSecret { name: synced.clone(), description: "new".into(), ..SyncedSecret::default() };
    let update = UpdateSyncedSecretRequest { synced_secret: Some(described), ..Default::default() };
    let usages = ListSecretUsagesRequest { parent: synced.clone(), ..Default::default() };
    let check = CheckResourceRequest { manifest: "apiVersion: v1\nkind: Pod".to_owned() };
    let versions = ListVaultSecretVersionsRequest { parent: secret.clone(), ..Default::default() };
    let new_secret = CreateVaultSecretRequest {
        vault_secret_id: own.clone(),
        secret: Some(new("canary-table")),
        ..Default::default()
    };
    let adopt = AdoptSyncedSecretRequest { name: synced, ..Default::default() };
    let enabled = VaultSecret { name: secret.clone(), enabled: true, ..Default::default() };
    let change = UpdateVaultSecretRequest { vault_secret: Some(enabled), ..Default::default() };
    let recover =
        RecoverVaultSecretRequest { name: vault_name(&format!("gone-{who}")), ..Default::default() };
    vec![
        ("CreateVaultSecret", code(caller.create_vault_secret(new_secret).await)),
        ("AddVaultSecretVersion", code(caller.add_vault_secret_version(add_version(&own, "canary-2")).await)),
        ("UpdateVaultSecret", code(caller.update_vault_secret(change).await)),
        ("RecoverVaultSecret", code(caller.recover_vault_secret(recover).await)),
        ("GetVault", code(caller.get_vault(GetVaultRequest::default()).await)),
        ("ListVaultSecrets", code(caller.list_vault_secrets(ListVaultSecretsRequest::default()).await)),
        ("GetVaultSecret", code(caller.get_vault_secret(GetVaultSecretRequest { name: secret }).await)),
        ("ListVaultSecretVersions", code(caller.list_vault_secret_versions(versions).await)),
        (
            "CreateSyncedSecret",
            code(caller.create_synced_secret(create(&own, vec![existing("a", &own)])).await),
        ),
        ("GetSyncedSecret", code(caller.get_synced_secret(get(&own)).await)),
        ("ListSyncedSecrets", code(caller.list_synced_secrets(ListSyncedSecretsRequest::default()).await)),
        ("WatchSyncedSecrets", code(caller.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await)),
        ("UpdateSyncedSecret", code(caller.update_synced_secret(update).await)),
        ("SyncSyncedSecret", code(caller.sync_synced_secret(sync(&own)).await)),
        ("AdoptSyncedSecret", code(caller.adopt_synced_secret(adopt).await)),
        ("ListSecretUsages", code(caller.list_secret_usages(usages).await)),
        ("ListSecretPurposes", code(caller.list_secret_purposes(ListSecretPurposesRequest::default()).await)),
        ("CheckResource", code(caller.check_resource(check).await)),
        ("DeleteSyncedSecret", code(caller.delete_synced_secret(delete(&own)).await)),
        ("ListAuditEvents", code(caller.list_audit_events(ListAuditEventsRequest::default()).await)),
        ("GetCaller", code(caller.get_caller(GetCallerRequest::default()).await)),
    ]
}

/// What each caller is told. Who may create a synced secret of one name and nothing else may not even do that: it refers to a vault secret. Everybody is told who they are. A viewer's looks at what it could not make end with NOT_FOUND: it was let in.
fn expected(caller: &str, method: &str) -> Code {
    let of_one = ["GetSyncedSecret", "GetVaultSecret", "ListVaultSecretVersions", "ListSecretUsages"];
    match caller {
        "nobody" | "wrong audience" => Code::Unauthenticated,
        "viewer" if of_one.contains(&method) => Code::NotFound,
        "viewer" if ["Get", "List", "Watch", "Check"].iter().any(|look| method.starts_with(look)) => Code::Ok,
        "creator" if method == "GetCaller" => Code::Ok,
        "viewer" | "creator" => Code::PermissionDenied,
        _ => Code::Ok,
    }
}

#[tokio::test]
async fn five_callers_try_every_method() {
    let world = world(|_| {}).await;
    world.account("creator", &["syncedsecrets"], &["create"], &["of-creator"]).await;
    world.seed("of-creator", "canary-table").await;
    world.seed("gone-editor", "canary-table").await;
    world.somebody.deletes("gone-editor").await;
    let tokens = [
        ("nobody", None),
        ("wrong audience", Some(world.token("editor", "https://other.example").await)),
        ("viewer", Some(world.token("viewer", AUDIENCE).await)),
        ("creator", Some(world.token("creator", AUDIENCE).await)),
        ("editor", Some(world.token("editor", AUDIENCE).await)),
    ];
    let mut columns = Vec::new();
    for (who, token) in &tokens {
        let mut caller = world.caller(token.as_deref()).await;
        columns.push((*who, call_all(&mut caller, &who.replace(' ', "-")).await));
    }
    say(&printed(&columns));
    let contract = include_str!("../../../proto/iotoperations/secrets/v1/secret_service.proto");
    let methods = contract.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
    let mut methods: Vec<&str> = methods.collect();
    methods.sort_unstable();
    for (who, column) in &columns {
        let mut tried: Vec<&str> = column.iter().map(|(method, _)| *method).collect();
        tried.sort_unstable();
        assert_eq!(tried, methods, "every method of the contract is tried");
        for (method, code) in column {
            assert_eq!(*code, expected(who, method), "{method} as {who}");
        }
    }
}

/// The table, for people.
fn printed(columns: &[(&str, Vec<(&str, Code)>)]) -> String {
    let mut lines = vec![String::new()];
    lines[0] = format!("{:<24}", "");
    for (who, _) in columns {
        lines[0] += &format!("{who:<18}");
    }
    for (row, (method, _)) in columns[0].1.iter().enumerate() {
        let codes = columns.iter().map(|(_, column)| format!("{:<18}", format!("{:?}", column[row].1)));
        lines.push(format!("{method:<24}{}", codes.collect::<String>()));
    }
    lines.join("\n")
}
