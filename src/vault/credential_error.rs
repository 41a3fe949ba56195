//! Short causes of failed connections and failed token requests, without any transferred content.

use std::{error::Error as StdError, io};

use azure_core::{Error, error::ErrorKind};

use super::{VaultError, assertion::AssertionError, transport::Intercepted};
use crate::quote::{Quote, chain};

/// Maps an error of the credential. It contains the response of the token endpoint, if there was one.
pub(super) fn map_credential_error(error: &Error) -> VaultError {
    let chain = || sources(error).filter_map(|error| error.downcast_ref::<Error>());
    let text = sources(error).map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let code = find_code(&text, "AADSTS").or_else(|| {
        chain().find_map(|error| match error.kind() {
            ErrorKind::HttpResponse { error_code: Some(codes), .. } => {
                find_code(&format!("AADSTS{codes}"), "AADSTS")
            }
            _ => None,
        })
    });
    if let Some(code) = code {
        return VaultError::Unauthenticated(format!("Entra ID refused a token ({code})").into());
    }
    if let Some(error) = find_source::<AssertionError>(error) {
        return VaultError::Unauthenticated(Quote::error(error));
    }
    if let Some(intercepted) = find_source::<Intercepted>(error) {
        return VaultError::Intercepted(format!("the token endpoint did not answer: {intercepted}").into());
    }
    if let Some(cause) = proxy_cause(error) {
        return VaultError::Intercepted(format!("the token endpoint did not answer: {cause}").into());
    }
    let mapped = chain().find_map(|error| match error.kind() {
        ErrorKind::HttpResponse { status, .. } => Some(match u16::from(*status) {
            status @ (408 | 429 | 500..) => {
                VaultError::Unreachable(format!("the token endpoint failed with status {status}").into())
            }
            status => VaultError::Unauthenticated(
                format!("the token endpoint answered with status {status}").into(),
            ),
        }),
        ErrorKind::Connection | ErrorKind::Io => Some(VaultError::Unreachable(
            format!("no answer from the token endpoint: {}", connection_cause(error)).into(),
        )),
        ErrorKind::DataConversion => {
            Some(VaultError::Unreachable("unexpected answer from the token endpoint".into()))
        }
        ErrorKind::Credential | ErrorKind::Other => None,
    });
    mapped.unwrap_or_else(|| {
        let what = match text.as_str() {
            text if text.contains("az login") => "the Azure CLI is not signed in; run `az login`",
            text if text.contains("not found on PATH") => "the Azure CLI is not installed",
            text if text.contains("federated token") => "the federated token file can't be read",
            _ => "the credential returned no token",
        };
        VaultError::Unauthenticated(what.into())
    })
}

/// The cause if a proxy did not let a connection through.
pub(super) fn proxy_cause(error: &Error) -> Option<&'static str> {
    match () {
        () if says(error, "proxy authorization required") => {
            Some("a proxy asks for credentials (status 407)")
        }
        () if says(error, "tunnel error: unsuccessful") => Some("a proxy refuses the connection"),
        () => None,
    }
}

/// A short cause of a failed connection, from the operating system, DNS or TLS.
pub(super) fn connection_cause(error: &Error) -> Quote {
    if let Some(tls) = find_source::<rustls::Error>(error) {
        return format!("TLS: {}", Quote::error(tls)).into();
    }
    if says(error, "dns error") {
        return format!("DNS: {}", Quote::cause(error)).into();
    }
    if sources(error)
        .filter_map(|error| error.downcast_ref::<reqwest::Error>())
        .any(reqwest::Error::is_timeout)
    {
        return io::ErrorKind::TimedOut.to_string().into();
    }
    match find_source::<io::Error>(error).map(io::Error::kind) {
        None | Some(io::ErrorKind::Other | io::ErrorKind::InvalidData) => Quote::cause(error),
        Some(kind) => kind.to_string().into(),
    }
}

/// Whether an error or one of its sources contains these words. The errors of hyper-util have no public type.
fn says(error: &Error, words: &str) -> bool {
    sources(error).any(|error| error.to_string().contains(words))
}

/// An error and its sources.
fn sources(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    chain(error)
}

/// The innermost error of a type.
pub(super) fn find_source<T: StdError + 'static>(error: &Error) -> Option<&T> {
    sources(error).filter_map(|error| error.downcast_ref::<T>()).last()
}

/// The first code of a family in a text: `AADSTS7000215`, `AKV10032`.
pub(super) fn find_code(text: &str, family: &str) -> Option<String> {
    text.match_indices(family).find_map(|(at, _)| {
        let digits = &text[at + family.len()..];
        let length = digits.bytes().take(10).take_while(u8::is_ascii_digit).count();
        (length > 0).then(|| format!("{family}{}", &digits[..length]))
    })
}

#[cfg(test)]
mod tests {
    use azure_core::http::{RawResponse, StatusCode, headers::Headers};

    use super::*;

    fn response(status: u16, error_code: Option<&str>) -> Error {
        let status = StatusCode::from(status);
        let raw_response = Some(Box::new(RawResponse::from_bytes(status, Headers::new(), "canary")));
        ErrorKind::HttpResponse { status, error_code: error_code.map(str::to_owned), raw_response }
            .into_error()
    }

    fn of_credential(inner: Error) -> VaultError {
        let text = inner.to_string();
        let told = map_credential_error(&Error::with_error(ErrorKind::Credential, inner, text));
        assert!(!format!("{told:?}").contains("canary"), "{told:?}");
        told
    }

    #[test]
    fn a_transport_failure_reports_a_short_cause() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset] {
            let error = Error::with_error(ErrorKind::Io, io::Error::from(kind), "canary");
            assert_eq!(*connection_cause(&error), kind.to_string());
        }
        let issuer = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, issuer));
        let why = connection_cause(&Error::new(ErrorKind::Connection, twice));
        assert!(why.contains("TLS") && why.contains("UnknownIssuer"), "{why}");
    }

    #[test]
    fn a_refused_application_reports_its_code_wherever_it_appears() {
        let refusal =
            |code: &str| VaultError::Unauthenticated(format!("Entra ID refused a token ({code})").into());
        let described = Error::with_message(ErrorKind::DataConversion, "canary AADSTS7000215: canary\r\n");
        assert_eq!(of_credential(described), refusal("AADSTS7000215"));
        assert_eq!(of_credential(response(401, Some("700016,1"))), refusal("AADSTS700016"));
        assert_eq!(find_code("AADSTS AADSTSx AADSTS12", "AADSTS").as_deref(), Some("AADSTS12"));
        assert_eq!(find_code("AADSTSé", "AADSTS"), None);
    }

    #[test]
    fn a_missing_token_and_a_missing_token_endpoint_have_different_errors() {
        assert!(matches!(of_credential(response(503, None)), VaultError::Unreachable(_)));
        assert!(matches!(of_credential(response(400, None)), VaultError::Unauthenticated(_)));
        let refused = Error::new(ErrorKind::Connection, io::Error::from(io::ErrorKind::ConnectionRefused));
        let VaultError::Unreachable(why) = of_credential(refused) else { panic!() };
        assert!(why.contains("token endpoint") && why.contains("refused"), "{why}");
        let cli = Error::with_message(ErrorKind::Credential, "canary: Please run 'az login'");
        assert!(matches!(of_credential(cli), VaultError::Unauthenticated(why) if why.contains("az login")));
    }
}
