//! Types of values with their own syntax: host URL, origin, namespace and so on.

use std::{fmt::Display, str::FromStr};

use url::Url;

use super::value::{Scalar, ValueType, is_not};
use crate::{
    model::{
        AccessRule, CLUSTER_PREFIX, Identity, NamePattern, ReservedName, SecretType, SyncedSecretId,
        UsageRule,
    },
    quote::Quote,
    telemetry,
};

/// An `https` URL of a host, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUrl(pub Url);

/// The origin of a web page: scheme, host and an optional port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(pub String);

/// The URL of an OpenID Connect issuer, exactly as its tokens name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerUrl(pub String);

/// What is put before the names of users or groups of an issuer. May be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePrefix(pub String);

/// A scope that a client of an issuer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeToken(pub String);

/// A claim that tokens must have, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaim {
    /// The claim.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The name of a Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(pub String);

/// The name of a namespaced Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(pub String);

/// A fraction, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction(pub f64);

/// A filter for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(pub String);

// === impl Scalar ===

impl Scalar for Fraction {
    const TYPE: ValueType = ValueType::new("SHARE", "a number from 0 to 1");

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err(is_not(text, "a number from 0 to 1")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.into())
    }
}

impl Scalar for HostUrl {
    const TYPE: ValueType = ValueType::new(
        "URL",
        "an https URL without a path, for example \"https://contoso.vault.azure.net/\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        let url: Url =
            text.parse().map_err(|error| format!("{text:?} is not a URL ({})", Quote::error(&error)))?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        match url.scheme() {
            // The user part may hold a password, so it is not repeated.
            _ if !url.username().is_empty() || url.password().is_some() => {
                Err("the URL contains a user".to_owned())
            }
            "https" if is_bare => Ok(Self(url)),
            "https" => Err(format!("{text:?} has more than a host")),
            scheme => Err(format!("{text:?} uses {scheme} instead of https")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for IssuerUrl {
    const TYPE: ValueType = ValueType::new(
        "URL",
        "an https URL, exactly as the claim iss has it, for example \
         \"https://login.microsoftonline.com/TENANT/v2.0\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        let url: Url =
            text.parse().map_err(|error| format!("{text:?} is not a URL ({})", Quote::error(&error)))?;
        match url.scheme() {
            // The user part may hold a password, so it is not repeated.
            _ if !url.username().is_empty() || url.password().is_some() => {
                Err("the URL contains a user".to_owned())
            }
            "https" if url.query().is_none() && url.fragment().is_none() => Ok(Self(text.to_owned())),
            "https" => Err(format!("{text:?} has a query or a fragment")),
            scheme => Err(format!("{text:?} uses {scheme} instead of https")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for NamePrefix {
    const TYPE: ValueType = ValueType::new("PREFIX", "text such as \"oidc:\", or \"\" for no prefix");

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim_start().to_ascii_lowercase().starts_with(CLUSTER_PREFIX) {
            return Err(format!("{text:?} begins with \"system:\", as names of the cluster do"));
        }
        let sample = Identity { name: format!("{text}name"), ..Identity::default() };
        match sample.checked() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{text:?} makes names that are not accepted: {error}")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for ScopeToken {
    const TYPE: ValueType = ValueType::new("SCOPE", "a scope without blanks, such as \"openid\"");

    /// The characters of RFC 6749, 3.3.
    fn parse(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        match !text.is_empty() && text.bytes().all(is_allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(is_not(text, "a scope")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for RequiredClaim {
    const TYPE: ValueType =
        ValueType::new("CLAIM=VALUE", "a claim and its value, such as \"hd=example.com\"");

    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(is_not(text, "a claim and its value")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(format!("{}={}", self.name, self.value).into())
    }
}

impl Scalar for Origin {
    const TYPE: ValueType = ValueType::new(
        "ORIGIN",
        "scheme, host and an optional port, for example \"https://console.example\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        let is_origin = text.parse::<Url>().is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.origin().ascii_serialization() == text.trim_end_matches('/')
        });
        if is_origin {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(is_not(text, "the origin of a web page"))
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for Namespace {
    const TYPE: ValueType = ValueType::new("NAMESPACE", "1 to 63 lowercase letters, digits and '-'");

    fn parse(text: &str) -> Result<Self, String> {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label = (1..=63).contains(&text.len())
            && text.bytes().all(is_inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label { Ok(Self(text.to_owned())) } else { Err(is_not(text, "the name of a namespace")) }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for ObjectName {
    const TYPE: ValueType = ValueType::new("NAME", "1 to 253 lowercase letters, digits, '-' and '.'");

    fn parse(text: &str) -> Result<Self, String> {
        // The same rule applies to the names of Secrets.
        match text.parse::<SyncedSecretId>() {
            Ok(name) => Ok(Self(name.to_string())),
            Err(_) => Err(is_not(text, "the name of an object in Kubernetes")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Scalar for LogFilter {
    const TYPE: ValueType = ValueType::new(
        "FILTER",
        "error, warn, info, debug or trace, or a list such as \"info,secret_service::vault=debug\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        match telemetry::parse(text) {
            Ok(_) if !text.trim().is_empty() => Ok(Self(text.to_owned())),
            _ => Err(is_not(text, "a log filter")),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

/// Parses a type of the model, whose error says what is wrong.
fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

impl Scalar for UsageRule {
    const TYPE: ValueType = ValueType::new(
        "RULE",
        "a rule such as \"Camera.example.com spec.login.secretRef SECRET username+password\" or \
         \"Camera.example.com spec.users[*].passwordSecretName SECRET/KEY\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

impl Scalar for AccessRule {
    const TYPE: ValueType = ValueType::new(
        "RULE",
        "a rule such as \"deny * vaultSecrets/prod-*\" or \"allow system:serviceaccounts:line-1 \
         syncedSecrets/line1-*\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

impl Scalar for SecretType {
    const TYPE: ValueType = ValueType::new("TYPE", "a Secret type such as \"example.com/license\"");

    fn parse(text: &str) -> Result<Self, String> {
        match text.is_empty() {
            true => Err("is empty".to_owned()),
            false => parsed(text),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.as_str().into())
    }
}

impl Scalar for NamePattern {
    const TYPE: ValueType = ValueType::new("PATTERN", "a pattern such as \"line.example.com/*\"");

    fn parse(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

impl Scalar for ReservedName {
    const TYPE: ValueType =
        ValueType::new("NAME", "a pattern and the owner of the names, such as \"grafana-* Grafana\"");

    fn parse(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_url_is_https_and_contains_only_a_host() {
        assert!(HostUrl::parse("https://127.0.0.1:8443").is_ok());
        for bad in ["http://a.example", "https://a.example/x", "https://a.example/?q", "a.example", ""] {
            assert!(HostUrl::parse(bad).is_err(), "{bad:?}");
        }
        let with_password = HostUrl::parse("https://user:canary@a.example/").unwrap_err();
        assert!(!with_password.contains("canary"));
    }

    #[test]
    fn an_issuer_is_an_https_url_and_stays_as_it_is_written() {
        for url in ["https://sts.windows.net/TENANT/", "https://login.microsoftonline.com/tenant/v2.0"] {
            assert_eq!(IssuerUrl::parse(url).unwrap().0, url);
        }
        for bad in ["http://a.example", "https://a.example/?q", "https://a.example/#f", "a.example", ""] {
            assert!(IssuerUrl::parse(bad).is_err(), "{bad:?}");
        }
        assert!(!IssuerUrl::parse("https://user:canary@a.example/").unwrap_err().contains("canary"));
    }

    #[test]
    fn a_scope_has_no_blank_and_no_quote() {
        for scope in ["openid", "api://7f0c/access", "https://graph.example/.default"] {
            assert_eq!(ScopeToken::parse(scope).unwrap().0, scope);
        }
        for bad in ["", "openid profile", "a\"b", "a\\b", "a\nb", "ä"] {
            assert!(ScopeToken::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_makes_no_names_of_the_cluster_or_of_the_service() {
        for prefix in ["", "oidc:", "https://issuer.example#"] {
            assert!(NamePrefix::parse(prefix).is_ok(), "{prefix:?}");
        }
        for bad in ["system:", " SYSTEM:oidc:", "anonymous@", "unix:", "a\nb"] {
            assert!(NamePrefix::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        assert_eq!(Origin::parse("https://console.example:8443/").unwrap().0, "https://console.example:8443");
        for bad in ["*", "console.example", "https://console.example/page", "file:///x", "null"] {
            assert!(Origin::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_namespace_is_a_label() {
        assert!(ObjectName::parse("secret-service.of-line-1").is_ok());
        assert!(ObjectName::parse("Secret_Service").is_err());
        assert!(Namespace::parse("azure-iot-operations").is_ok());
        for bad in ["", "-a", "a-", "A", "a.b", &"a".repeat(64)] {
            assert!(Namespace::parse(bad).is_err(), "{bad:?}");
        }
    }
}
