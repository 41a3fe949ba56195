//! What comes from the cluster: custom resources of others with any status, and resources that may use
//! secrets.

use serde_json::Value;

use super::secret_store::{
    SecretProviderClass, SecretSync, SyncOutcome, as_synced_secret, objects, sync_outcome,
};
use crate::model::{GroupKind, Subject, UsageRule, UsageRules};

/// Any bytes as a SecretSync and its class: JSON of both, in a list.
pub fn custom_resources(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let read = objects::read(text);
        assert_eq!(objects::read(&objects::write(&read)), read, "what is written is read as the same");
    }
    let Ok(parts) = serde_json::from_slice::<Vec<Value>>(data) else { return };
    let mut parts = parts.into_iter();
    let Some(Ok(sync)) = parts.next().map(serde_json::from_value::<SecretSync>) else { return };
    let class = parts.next().and_then(|class| serde_json::from_value::<SecretProviderClass>(class).ok());
    if let SyncOutcome::Failed(failed) = sync_outcome(sync.status.as_ref(), "") {
        assert!(failed.message.len() < 4_000, "what the extension says is shortened");
    }
    if let Some(secret) = as_synced_secret(&sync, class.as_ref(), "contoso-aio") {
        let mut keys: Vec<String> =
            secret.references.iter().map(|reference| reference.key.to_string()).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "keys are unique");
    }
}

/// Any bytes as a rule, a line, and a resource, JSON: whatever is found, is a secret's name of bounded length
/// at a place of its own.
pub fn usages(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let rule = std::str::from_utf8(&data[..end]).ok().and_then(|line| line.parse::<UsageRule>().ok());
    if let Some(rule) = &rule {
        assert_eq!(rule.to_string().parse::<UsageRule>().ok().as_ref(), Some(rule));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&data[end + 1..]) else { return };
    let rules = UsageRules::with(rule);
    for group in rules.groups() {
        for kind in ["AssetEndpointProfile", "Device", "DataflowEndpoint", "BrokerListener", "K"] {
            let group_kind = GroupKind { group: group.to_owned(), kind: kind.to_owned() };
            let subject = Subject { api_version: "g/v1", group_kind: &group_kind, namespace: "n", name: "r" };
            let found = rules.usages_of(subject, &body);
            assert!(found.len() <= data.len());
            for usage in found {
                assert!(!usage.secret.is_empty() && usage.secret.len() <= 253, "{usage:?}");
            }
        }
    }
}
