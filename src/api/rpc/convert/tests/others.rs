//! Updates, vault secrets, lists.

use super::*;
use crate::secrets::Changes;

fn update(paths: &[&str], change: impl FnOnce(&mut SyncedSecret)) -> Result<Changes, Error> {
    let mut wire = SyncedSecret { name: "syncedSecrets/a".into(), etag: "\"e\"".into(), ..wanted() };
    change(&mut wire);
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = (!paths.is_empty()).then_some(prost_types::FieldMask { paths });
    let request =
        proto::UpdateSyncedSecretRequest { synced_secret: Some(wire), update_mask, ..Default::default() };
    changes(request, Violations::default())
}

#[test]
fn the_mask_says_what_changes_and_without_one_the_populated_fields_change() {
    let which = |changes: Changes| {
        (changes.references.is_some(), changes.labels.is_some(), changes.description.is_some())
    };
    assert_eq!(which(update(&["description"], |_| ()).unwrap()), (false, false, true));
    assert_eq!(which(update(&["labels", "references"], |_| ()).unwrap()), (true, true, false));
    assert_eq!(which(update(&["*"], |_| ()).unwrap()), (true, true, true));
    assert_eq!(which(update(&[], |_| ()).unwrap()), (true, false, false));
    assert_eq!(which(update(&[], |wire| wire.description = "d".into()).unwrap()), (true, false, true));
    refused(update(&[], |wire| wire.references.clear()), "update_mask", "must name what changes");
    // Fields that the mask leaves out are ignored.
    assert!(update(&["labels"], |wire| wire.references[0].key = "a b".into()).is_ok());
    refused(update(&["*"], |wire| wire.references.clear()), "synced_secret.references", "at least one");
    refused(update(&["description"], |wire| wire.name = "a".into()), "synced_secret.name", "syncedSecrets/a");
}

#[test]
fn a_path_that_cannot_change_is_refused_with_the_valid_ones() {
    for (path, part) in [
        ("references.key", "name references"),
        ("references[0].version", "name references"),
        ("labels.line", "name labels"),
        ("secret_type", "create a new one"),
        ("state", "can't be changed"),
        ("nonsense", "references, labels, description"),
        ("", "references, labels, description"),
    ] {
        refused(update(&[path], |_| ()), "update_mask", part);
    }
}

#[test]
fn vault_secrets_are_created_by_id_and_need_a_value() {
    let create = |id: &str, secret| {
        let request =
            proto::CreateVaultSecretRequest { vault_secret_id: id.into(), secret, ..Default::default() };
        new_vault_secret(request, Violations::default())
    };
    let secret = || creating("v").create;
    assert!(create("edp1-user", secret()).is_ok());
    refused(create("vaultSecrets/x", secret()), "vault_secret_id", "use \"x\"");
    refused(create("a_b", secret()), "vault_secret_id", "127");
    refused(create("x", None), "secret", "required");
    refused(create("x", creating("").create), "secret.value", "required");
    let request =
        proto::AddVaultSecretVersionRequest { parent: "x".into(), secret: secret(), ..Default::default() };
    refused(new_version(request, Violations::default()), "parent", "vaultSecrets/x");
}

#[test]
fn requests_of_lists_are_checked() {
    assert_eq!((page_size(0).unwrap(), page_size(7).unwrap(), page_size(i32::MAX).unwrap()), (100, 7, 1_000));
    refused(page_size(-1), "page_size", "0 or more");
    refused(is_full(9, false), "view", "knows");
    assert_eq!([0, 1, 2].map(|view| is_full(view, true).unwrap()), [true, false, true]);
    let filtered = |change: &dyn Fn(&mut proto::SyncedSecretFilter)| {
        let mut wire = proto::SyncedSecretFilter::default();
        change(&mut wire);
        filter(wire)
    };
    refused(filtered(&|wire| wire.states = vec![1, 99]), "filter.states[1]", "knows");
    refused(filtered(&|wire| wire.states = vec![0]), "filter.states[0]", "must be a state");
    refused(filtered(&|wire| wire.origin = 99), "filter.origin", "knows");
    refused(filtered(&|wire| wire.vault_secret = "x".into()), "filter.vault_secret", "vaultSecrets/x");
    let used_by = |kind: &str, unused| {
        let used_by = proto::synced_secret_filter::UsedBy { kind: kind.into(), unused, ..Default::default() };
        filtered(&|wire| wire.used_by = Some(used_by.clone()))
    };
    refused(used_by("Device", true), "filter.used_by", "either unused or the other fields");
    assert_eq!(used_by("", true).unwrap().used_by, Some(UsedBy::Nothing));
    assert!(matches!(
        used_by("Device", false).unwrap().used_by,
        Some(UsedBy::Resource { resource: None, .. })
    ));
    let audit = |resource: &str| {
        list_audit_events::filter(&proto::ListAuditEventsRequest {
            resource: resource.into(),
            ..Default::default()
        })
    };
    refused(audit("edp1"), "resource", "syncedSecrets/edp1 or vaultSecrets/edp1");
    assert!(audit("vault").is_ok() && audit("syncedSecrets/a").is_ok());
}
