//! Fuzz target for responses of a vault: pages, secrets, errors, and the links between pages.

use azure_core::{
    error::ErrorKind,
    http::{RawResponse, StatusCode, headers::Headers},
};
use azure_security_keyvault_secrets::models::{ListSecretPropertiesResult, Secret};
use url::Url;

use super::{
    convert,
    paging::List,
    sdk_error::{Operation, map_error},
};
use crate::explain::Explain;

/// Any bytes as a response. The first two are its status.
pub fn answers(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk::<2>() else { return };
    errors(100 + u16::from_be_bytes(*status) % 500, body);
    if let Ok(page) = serde_json::from_slice::<ListSecretPropertiesResult>(body) {
        for listed in page.value {
            if let Ok(secret) = convert::secret(listed.clone()) {
                assert!((1..=127).contains(&secret.name.to_string().len()));
            }
            let _ = convert::version(listed);
        }
    }
    if let Ok(secret) = serde_json::from_slice::<Secret>(body) {
        let _ = convert::version_of(secret);
    }
    if let Ok(text) = std::str::from_utf8(body) {
        links(text);
    }
}

/// An error response may contain anything. Our message about it is one line of bounded length.
fn errors(status: u16, body: &[u8]) {
    let status = StatusCode::from(status);
    let raw_response = Some(Box::new(RawResponse::from_bytes(status, Headers::new(), body.to_vec())));
    let error = ErrorKind::HttpResponse { status, error_code: None, raw_response }.into_error();
    let name = "pump".parse().expect("it is a name");
    let told = map_error(&error, Operation { operation: "read values", name: Some(&name), version: None });
    let told = format!("{told}. {}", told.remedy());
    assert!(told.len() < 2_000 && !told.contains('\n'), "{told}");
}

/// A link is followed to the vault itself and within its list, or not at all: a request carries our token.
fn links(text: &str) {
    let vault: Url = "https://contoso.vault.azure.net/".parse().expect("it is a URL");
    if let Ok(Some(followed)) = List::secrets(&vault).continuation(Some(text)) {
        let link: Url = followed.as_ref().parse().expect("it was one");
        assert_eq!((link.scheme(), link.host_str(), link.port()), ("https", vault.host_str(), None));
        assert!(link.path().trim_end_matches('/').eq_ignore_ascii_case("/secrets"), "{link}");
        assert!(link.username().is_empty() && link.password().is_none());
    }
}
