//! Pages of a list and the links between them.

use azure_core::http::{Pager, pager::PagerContinuation};
use azure_security_keyvault_secrets::models::{ListSecretPropertiesResult, SecretProperties};
use futures::TryStreamExt;
use url::Url;

use super::VaultError;
use crate::model::VaultSecretName;

/// Page size: the maximum of Key Vault.
pub(super) const PAGE_SIZE: i32 = 25;

/// A list in the vault. Links are followed only to the vault itself and only within the list, because a
/// request carries our token.
pub(super) struct List<'a> {
    vault: &'a Url,
    path: String,
}

// === impl List ===

impl<'a> List<'a> {
    /// The secrets of a vault.
    pub(super) fn secrets(vault: &'a Url) -> Self {
        Self { vault, path: "/secrets".to_owned() }
    }

    /// The versions of a secret.
    pub(super) fn versions(vault: &'a Url, name: &VaultSecretName) -> Self {
        Self { vault, path: format!("/secrets/{name}/versions") }
    }

    /// Validates a continuation from a caller or from the vault.
    pub(super) fn continuation(&self, from: Option<&str>) -> Result<Option<PagerContinuation>, VaultError> {
        from.map(|from| {
            let link = Url::parse(from).ok().filter(|link| self.contains(link));
            link.map(PagerContinuation::Link)
                .ok_or_else(|| VaultError::Malformed("the continuation belongs to another list".into()))
        })
        .transpose()
    }

    /// Validates the continuation that came with the page `from`.
    pub(super) fn next(
        &self,
        next: Option<PagerContinuation>,
        from: Option<&PagerContinuation>,
    ) -> Result<Option<String>, VaultError> {
        let next = self.continuation(next.as_ref().map(AsRef::as_ref))?;
        match next.is_some() && next.as_ref() == from {
            true => Err(VaultError::Malformed("a page continues with itself".into())),
            false => Ok(next.map(Into::into)),
        }
    }

    fn contains(&self, link: &Url) -> bool {
        let same_host = (link.scheme(), link.host(), link.port_or_known_default())
            == (self.vault.scheme(), self.vault.host(), self.vault.port_or_known_default());
        let bare = link.username().is_empty() && link.password().is_none();
        same_host && bare && link.path().trim_end_matches('/').eq_ignore_ascii_case(&self.path)
    }
}

/// Fetches the first page of a pager, and its continuation.
pub(super) async fn first_page(
    pager: Pager<ListSecretPropertiesResult>,
) -> azure_core::Result<(Vec<SecretProperties>, Option<PagerContinuation>)> {
    let mut pages = pager.into_pages();
    let Some(page) = pages.try_next().await? else { return Ok((Vec::new(), None)) };
    Ok((page.into_model()?.value, pages.into_continuation()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_stays_within_the_list_of_the_vault() {
        let vault = Url::parse("https://contoso.vault.azure.net/").unwrap();
        let name = "Pump".parse().unwrap();
        let (secrets, versions) = (List::secrets(&vault), List::versions(&vault, &name));
        for (list, link, good) in [
            (&secrets, "https://contoso.vault.azure.net:443/secrets?api-version=7.4&$skiptoken=x", true),
            (&secrets, "https://CONTOSO.vault.azure.net/Secrets/", true),
            (&versions, "https://contoso.vault.azure.net/secrets/pump/versions?$skiptoken=x", true),
            (&versions, "https://contoso.vault.azure.net/secrets/valve/versions", false),
            (&versions, "https://contoso.vault.azure.net/secrets", false),
            (&secrets, "https://contoso.vault.azure.net/secrets/pump", false),
            (&secrets, "https://contoso.vault.azure.net/secrets/../keys", false),
            (&secrets, "https://contoso.vault.azure.net:444/secrets", false),
            (&secrets, "http://contoso.vault.azure.net/secrets", false),
            (&secrets, "https://contoso.vault.azure.net@evil.example/secrets", false),
            (&secrets, "https://contoso.vault.azure.net.evil.example/secrets", false),
            (&secrets, "/secrets", false),
            (&secrets, "", false),
        ] {
            assert_eq!(list.continuation(Some(link)).is_ok(), good, "{link}");
        }
    }
}
