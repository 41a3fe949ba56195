//! The host names of the double: loopback names serve everything, a cloud's own names serve the part that is theirs.

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::refusal::Refusal;

/// The host of Entra in the public cloud.
pub const AUTHORITY_HOST: &str = Cloud::PUBLIC.authority_host;

/// A cloud: the names of its Entra and of its vaults. A token of one is worth nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// The host of its Entra.
    pub authority_host: &'static str,
    /// The domain of its vaults, which is also the host of their resource.
    pub vault_domain: &'static str,
}

// === impl Cloud ===

impl Cloud {
    /// The global cloud.
    pub const PUBLIC: Self =
        Self { authority_host: "login.microsoftonline.com", vault_domain: "vault.azure.net" };
    /// Azure Government.
    pub const US_GOVERNMENT: Self =
        Self { authority_host: "login.microsoftonline.us", vault_domain: "vault.usgovcloudapi.net" };
    /// Azure operated by 21Vianet.
    pub const CHINA: Self = Self { authority_host: "login.chinacloudapi.cn", vault_domain: "vault.azure.cn" };
    /// A cloud that no SDK knows, as an air-gapped one is.
    pub const CUSTOM: Self =
        Self { authority_host: "login.azurestack.example", vault_domain: "vault.azurestack.example" };

    const ALL: [Self; 4] = [Self::PUBLIC, Self::US_GOVERNMENT, Self::CHINA, Self::CUSTOM];

    /// The host of a vault, by its name.
    pub fn vault_host(&self, vault: &str) -> String {
        format!("{}.{}", vault.to_ascii_lowercase(), self.vault_domain)
    }

    /// The resource of its tokens for vaults.
    pub fn resource(&self) -> String {
        format!("https://{}", self.vault_domain)
    }

    /// The cloud of a vault, by its host.
    pub(super) fn of_vault(host: &str) -> Option<Self> {
        let has = |cloud: &Self| {
            host.strip_suffix(cloud.vault_domain).and_then(|name| name.strip_suffix('.')).is_some()
        };
        Self::ALL.into_iter().find(has)
    }

    /// The cloud of an Entra, by its host.
    pub(super) fn of_authority(host: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.authority_host == host)
    }

    /// The cloud whose tokens for vaults have this resource.
    pub(super) fn of_resource(resource: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.resource() == resource)
    }
}

/// The names on the certificate. Azure's certificates have wildcards, too.
pub(super) fn certified() -> Vec<String> {
    let of_clouds =
        Cloud::ALL.into_iter().flat_map(|cloud| [cloud.vault_host("*"), cloud.authority_host.to_owned()]);
    std::iter::once("localhost".to_owned()).chain(of_clouds).collect()
}

/// The host of a vault in the public cloud, by its name.
pub fn public_host(vault: &str) -> String {
    Cloud::PUBLIC.vault_host(vault)
}

/// The host that the client reached us by, with its port unless that is 443. Ids and links contain it.
pub(super) fn reached(uri: &Uri, headers: &HeaderMap, otherwise: &str) -> String {
    let header = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or_else(header).unwrap_or(otherwise);
    host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase()
}

/// The authority host that a client is sent to for a token, given the host by which it reached us.
pub(super) fn authority(host: &str) -> &str {
    Cloud::of_vault(host).map_or(host, |cloud| cloud.authority_host)
}

/// Whether a host is a vault's in a cloud, which issues no tokens.
fn is_vault(host: &str) -> bool {
    Cloud::of_vault(host).is_some()
}

/// Whether a host is Entra's in a cloud, which serves no secrets.
fn is_authority(host: &str) -> bool {
    Cloud::of_authority(host).is_some()
}

/// Hides Entra's endpoints at vault hosts.
pub(super) async fn not_at_a_vault(request: Request, next: Next) -> Response {
    unless(is_vault, request, next).await
}

/// Hides the endpoints that are local to a machine at Azure's hosts.
pub(super) async fn only_on_this_machine(request: Request, next: Next) -> Response {
    unless(|host| is_vault(host) || is_authority(host), request, next).await
}

/// Hides the vault at Entra's host.
pub(super) async fn not_at_the_authority(request: Request, next: Next) -> Response {
    unless(is_authority, request, next).await
}

async fn unless(elsewhere: impl Fn(&str) -> bool, request: Request, next: Next) -> Response {
    if elsewhere(&reached(request.uri(), request.headers(), "")) {
        Refusal::no_such_path(request.uri().path().trim_start_matches('/')).into_response()
    } else {
        next.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_requests_own_without_port_443() {
        let from = |uri: &'static str, host: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            reached(&Uri::from_static(uri), &headers, "127.0.0.1:1")
        };
        assert_eq!(from("/secrets", "Contoso-AIO.vault.azure.net:443"), "contoso-aio.vault.azure.net");
        assert_eq!(from("https://a.vault.azure.net/secrets", "b"), "a.vault.azure.net");
        assert_eq!(from("/", "127.0.0.1:4430"), "127.0.0.1:4430");
        assert_eq!(reached(&Uri::from_static("/"), &HeaderMap::new(), "127.0.0.1:1"), "127.0.0.1:1");
    }

    #[test]
    fn tokens_come_from_entra_for_azures_names_and_from_the_double_for_its_own() {
        assert_eq!(authority(&public_host("Contoso-AIO")), "login.microsoftonline.com");
        assert_eq!(authority("contoso.vault.usgovcloudapi.net"), "login.microsoftonline.us");
        assert_eq!(authority("contoso.vault.azure.cn"), "login.chinacloudapi.cn");
        assert_eq!(authority("127.0.0.1:1"), "127.0.0.1:1");
        assert_eq!(authority("vault.azure.net.example"), "vault.azure.net.example");
        assert_eq!(authority("contosovault.azure.net"), "contosovault.azure.net");
    }
}
