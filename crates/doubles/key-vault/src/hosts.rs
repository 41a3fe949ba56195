//! The host names of the double: loopback names serve everything, Azure's own names serve the part that is theirs.

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::refusal::Refusal;

/// The host of Entra in the public cloud.
pub const AUTHORITY_HOST: &str = "login.microsoftonline.com";
/// The suffix of vault hosts in the public cloud.
const VAULT_SUFFIX: &str = ".vault.azure.net";
/// The names on the certificate. Azure's certificate has a wildcard, too.
pub(super) const CERTIFIED: [&str; 3] = ["localhost", "*.vault.azure.net", AUTHORITY_HOST];

/// The host of a vault in the public cloud, by its name.
pub fn public_host(vault: &str) -> String {
    format!("{}{VAULT_SUFFIX}", vault.to_ascii_lowercase())
}

/// The host that the client reached us by, with its port unless that is 443. Ids and links contain it.
pub(super) fn reached(uri: &Uri, headers: &HeaderMap, otherwise: &str) -> String {
    let header = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or_else(header).unwrap_or(otherwise);
    host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase()
}

/// The authority host that a client is sent to for a token, given the host by which it reached us.
pub(super) fn authority(host: &str) -> &str {
    if is_vault(host) { AUTHORITY_HOST } else { host }
}

/// Whether a host is a vault's in the public cloud, which issues no tokens.
fn is_vault(host: &str) -> bool {
    host.ends_with(VAULT_SUFFIX)
}

/// Whether a host is Entra's in the public cloud, which serves no secrets.
fn is_authority(host: &str) -> bool {
    host == AUTHORITY_HOST
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
        assert_eq!(authority("127.0.0.1:1"), "127.0.0.1:1");
        assert_eq!(authority("vault.azure.net.example"), "vault.azure.net.example");
    }
}
