//! The lists: a page at a time, from where a token says, and never more than an answer can carry.

use prost::Message;
use tokio::time::Instant;

use crate::api::rpc::{auth::Sight, convert, token::Scope};
use crate::{
    model::{SyncedSecret, SyncedSecretId, UsagePlace},
    proto,
    secrets::{AuditFilter, Error, ListedUsage, Secrets, VaultCursor},
};

/// Room for what an answer holds besides the items: the next token, sizes.
const MARGIN: usize = 64 * 1024;

/// How large a page may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages {
    /// Bytes of all items of a page. A page that would have more ends earlier, as AIP-158 allows.
    bytes: usize,
}

impl Pages {
    /// Pages that fit into answers of a size.
    pub(crate) fn within(answer_bytes: usize) -> Self {
        Self { bytes: answer_bytes.saturating_sub(MARGIN).max(answer_bytes / 2) }
    }

    /// ListSyncedSecrets.
    pub(crate) fn synced_secrets(
        &self,
        secrets: &Secrets,
        sight: &Sight,
        message: proto::ListSyncedSecretsRequest,
    ) -> Result<proto::ListSyncedSecretsResponse, Error> {
        let limit = convert::page_size(message.page_size)?;
        let is_full = convert::is_full(message.view, false)?;
        let wire = message.filter.unwrap_or_default();
        let scope =
            Scope::pages((secrets.page_signer(), secrets.clock()), "ListSyncedSecrets", wire.encode_to_vec());
        let filter = convert::filter(wire)?;
        let after = scope.open::<SyncedSecretId>(&message.page_token)?;

        let listed = secrets.list_synced_secrets(after.as_ref(), limit, &filter);
        let shown =
            listed.records.iter().map(|record| synced_secret(secrets, Some(sight), &record.secret, is_full));
        let synced_secrets = self.fitting(shown);
        let more = listed.more || synced_secrets.len() < listed.records.len();
        let last = synced_secrets.len().checked_sub(1).filter(|_| more);
        Ok(proto::ListSyncedSecretsResponse {
            next_page_token: last
                .map_or_else(String::new, |last| scope.issue(&listed.records[last].secret.id)),
            synced_secrets,
            total_size: i32::try_from(listed.total).unwrap_or(i32::MAX),
        })
    }

    /// ListSecretUsages.
    pub(crate) async fn secret_usages(
        &self,
        secrets: &Secrets,
        sight: Option<&Sight>,
        deadline: Option<Instant>,
        message: proto::ListSecretUsagesRequest,
    ) -> Result<proto::ListSecretUsagesResponse, Error> {
        let limit = convert::page_size(message.page_size)?;
        let parent = convert::synced_secret_or_all("parent", &message.parent)?;
        let scope = Scope::pages(
            (secrets.page_signer(), secrets.clock()),
            "ListSecretUsages",
            message.parent.into_bytes(),
        );
        let after = scope.open::<UsagePlace>(&message.page_token)?;
        let (listed, more) =
            secrets.list_secret_usages(deadline, parent.as_ref(), after.as_ref(), limit).await?;
        let usages = self.fitting(listed.iter().map(|listed| secret_usage(secrets, sight, listed)));
        let more = more || usages.len() < listed.len();
        let last = usages.len().checked_sub(1).filter(|_| more);
        let next_page_token = last.map_or_else(String::new, |last| scope.issue(&listed[last].usage.place()));
        Ok(proto::ListSecretUsagesResponse { usages, next_page_token })
    }

    /// ListVaultSecrets.
    pub(crate) async fn vault_secrets(
        &self,
        secrets: &Secrets,
        mut message: proto::ListVaultSecretsRequest,
    ) -> Result<proto::ListVaultSecretsResponse, Error> {
        let mut limit = convert::page_size(std::mem::take(&mut message.page_size))?;
        let token = std::mem::take(&mut message.page_token);
        let scope = Scope::pages(
            (secrets.page_signer(), secrets.clock()),
            "ListVaultSecrets",
            message.encode_to_vec(),
        );
        let from = scope.open::<VaultCursor>(&token)?.unwrap_or_default();
        let filter = convert::vault_filter(&message);
        loop {
            let page = secrets.list_vault_secrets(&filter, from.clone(), limit).await?;
            let vault_secrets: Vec<_> = page.items.into_iter().map(convert::listed_vault_secret).collect();
            if self.fits(&vault_secrets) || limit == 1 {
                let next_page_token = page.next.map_or_else(String::new, |next| scope.issue(&next));
                return Ok(proto::ListVaultSecretsResponse { vault_secrets, next_page_token });
            }
            limit /= 2;
        }
    }

    /// ListVaultSecretVersions.
    pub(crate) async fn vault_secret_versions(
        &self,
        secrets: &Secrets,
        message: proto::ListVaultSecretVersionsRequest,
    ) -> Result<proto::ListVaultSecretVersionsResponse, Error> {
        let limit = convert::page_size(message.page_size)?;
        let name = convert::vault_secret_name("parent", &message.parent)?;
        let scope = Scope::pages(
            (secrets.page_signer(), secrets.clock()),
            "ListVaultSecretVersions",
            name.folded().into_bytes(),
        );
        let from = scope.open::<VaultCursor>(&message.page_token)?.unwrap_or_default();
        let page = secrets.list_vault_secret_versions(&name, from, limit).await?;
        Ok(proto::ListVaultSecretVersionsResponse {
            versions: page.items.iter().map(convert::vault_secret_version).collect(),
            next_page_token: page.next.map_or_else(String::new, |next| scope.issue(&next)),
        })
    }

    /// ListAuditEvents.
    pub(crate) async fn audit_events(
        &self,
        secrets: &Secrets,
        mut message: proto::ListAuditEventsRequest,
    ) -> Result<proto::ListAuditEventsResponse, Error> {
        let limit = convert::page_size(std::mem::take(&mut message.page_size))?;
        let token = std::mem::take(&mut message.page_token);
        let scope = Scope::pages(
            (secrets.page_signer(), secrets.clock()),
            "ListAuditEvents",
            message.encode_to_vec(),
        );
        let filter = convert::audit_filter(&message)?;
        let before = scope.open::<i64>(&token)?;

        let (events, more) = secrets.list_audit_events(&AuditFilter { before, ..filter }, limit).await?;
        let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        let audit_events = self.fitting(events.into_iter().map(convert::audit_event));
        let more = more || audit_events.len() < sequences.len();
        let last = audit_events.len().checked_sub(1).filter(|_| more);
        let next_page_token = last.map_or_else(String::new, |last| scope.issue(&sequences[last]));
        Ok(proto::ListAuditEventsResponse { audit_events, next_page_token })
    }

    /// The items that fit, at least one.
    fn fitting<T: Message>(&self, items: impl Iterator<Item = T>) -> Vec<T> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for item in items {
            bytes += size(&item);
            if bytes > self.bytes && !page.is_empty() {
                break;
            }
            page.push(item);
        }
        page
    }

    fn fits<T: Message>(&self, items: &[T]) -> bool {
        items.iter().map(size).sum::<usize>() <= self.bytes
    }
}

/// A synced secret, in the full view with what uses it. Whoever was asked whether it may get just this one needs no sight.
pub(crate) fn synced_secret(
    secrets: &Secrets,
    sight: Option<&Sight>,
    secret: &SyncedSecret,
    is_full: bool,
) -> proto::SyncedSecret {
    let mut shown = convert::synced_secret(secret);
    if is_full {
        shown.usages = secrets.usages_of(&secret.id).iter().map(convert::secret_usage).collect();
    }
    if sight.is_some_and(|sight| !sight.has_keys_of(secret)) {
        convert::withhold_keys(&mut shown);
    }
    shown
}

/// A use of a synced secret.
fn secret_usage(secrets: &Secrets, sight: Option<&Sight>, listed: &ListedUsage) -> proto::SecretUsage {
    let mut shown = convert::secret_usage(listed);
    let record = listed.usage.secret.parse().ok().and_then(|id| secrets.get_synced_secret(&id).ok());
    if let (Some(sight), Some(record)) = (sight, record) {
        shown.key_missing &= sight.has_keys_of(&record.secret);
    }
    shown
}

/// Bytes of an item in a repeated field: its own, a tag and a length of at most five.
fn size(item: &impl Message) -> usize {
    item.encoded_len() + 6
}
