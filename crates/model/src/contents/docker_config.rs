//! The docker configuration that is composed from a host, a user name and a password, byte for byte as
//! `kubectl create secret docker-registry` writes it.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{DOCKER_CONFIG, NOT_EMPTY};
use crate::SecretKey;

/// The keys of the references that it is composed from.
pub(crate) const PARTS: [&str; 3] = [HOST, USERNAME, PASSWORD];
/// The one that may be left out.
pub(crate) const EMAIL: &str = "email";
const HOST: &str = "host";
const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// The key of the Kubernetes Secret that holds it.
pub(super) static KEY: LazyLock<SecretKey> =
    LazyLock::new(|| DOCKER_CONFIG.1.parse().expect("the name of the key follows the rule"));

/// Whether it is composed from references with these keys.
pub(crate) fn is_composed_from<'a>(keys: impl Iterator<Item = &'a str>) -> bool {
    let keys: Vec<&str> = keys.collect();
    PARTS.iter().all(|part| keys.contains(part))
        && keys.iter().all(|key| PARTS.contains(key) || *key == EMAIL)
}

/// What a part needs that this value is not.
pub(super) fn needs_of(key: &str, value: &[u8]) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(value) else { return Some("a text in UTF-8") };
    let is_break = |one: char| one.is_whitespace() || one.is_control();
    match key {
        _ if text.is_empty() => Some(NOT_EMPTY),
        HOST if text.contains(is_break) => Some("a host without spaces and line breaks"),
        // The text before the first one would be the user.
        USERNAME if text.contains(':') => Some("a user name without ':'"),
        _ => None,
    }
}

/// The composed bytes; `None` if a part is missing or is no text. Every buffer is allocated once, because one that
/// grows leaves copies behind.
pub(super) fn compose<'a>(value: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Zeroizing<Vec<u8>>> {
    let text = |key: &str| std::str::from_utf8(value(key)?).ok();
    let (host, username, password) = (text(HOST)?, text(USERNAME)?, text(PASSWORD)?);
    let auth = auth(username, password);
    let auth = std::str::from_utf8(&auth).ok()?;
    let fields =
        [(USERNAME, Some(username)), (PASSWORD, Some(password)), (EMAIL, text(EMAIL)), ("auth", Some(auth))];
    let mut size = 0;
    write(host, &fields, &mut |part| size += part.len());
    let mut json = Zeroizing::new(Vec::with_capacity(size));
    write(host, &fields, &mut |part| json.extend_from_slice(part));
    Some(json)
}

/// Base64 of `username:password`.
fn auth(username: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let mut credentials = Zeroizing::new(Vec::with_capacity(username.len() + 1 + password.len()));
    for part in [username, ":", password] {
        credentials.extend_from_slice(part.as_bytes());
    }
    let mut auth = Zeroizing::new(vec![0; credentials.len().div_ceil(3) * 4]);
    drop(STANDARD.encode_slice(&*credentials, &mut auth));
    auth
}

fn write(host: &str, fields: &[(&str, Option<&str>)], out: &mut impl FnMut(&[u8])) {
    out(b"{\"auths\":{");
    quoted(host, out);
    out(b":{");
    let given = fields.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    for (place, (name, value)) in given.enumerate() {
        if place > 0 {
            out(b",");
        }
        quoted(name, out);
        out(b":");
        quoted(value, out);
    }
    out(b"}}}");
}

/// A string of JSON as Go's `json.Marshal` writes it, with which kubectl composes: it escapes what HTML and JavaScript
/// could misread, too.
fn quoted(text: &str, out: &mut impl FnMut(&[u8])) {
    out(b"\"");
    for one in text.chars() {
        match one {
            '"' => out(b"\\\""),
            '\\' => out(b"\\\\"),
            '\n' => out(b"\\n"),
            '\r' => out(b"\\r"),
            '\t' => out(b"\\t"),
            '\u{8}' => out(b"\\b"),
            '\u{c}' => out(b"\\f"),
            '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped(one, out),
            _ => out(one.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out(b"\"");
}

/// `\u2028`: all that are escaped so have four digits.
fn escaped(one: char, out: &mut impl FnMut(&[u8])) {
    out(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = (u32::from(one) >> shift & 0xf) as usize;
        out(&b"0123456789abcdef"[digit..=digit]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(parts: &[(&str, &str)]) -> Option<String> {
        let value = |key: &str| parts.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_bytes());
        let json = compose(value)?;
        assert_eq!(json.capacity(), json.len(), "allocated once, and as large as needed");
        Some(String::from_utf8(json.to_vec()).unwrap())
    }

    #[test]
    fn the_configuration_is_the_one_that_kubectl_writes() {
        // kubectl create secret docker-registry --dry-run=client -o yaml
        let told = composed(&[
            ("email", "dock_user@myprivateregistry.com"),
            ("host", "myprivateregistry.com:5000"),
            ("password", "dock_password"),
            ("username", "dock_user"),
        ]);
        let kubectl = "eyJhdXRocyI6eyJteXByaXZhdGVyZWdpc3RyeS5jb206NTAwMCI6eyJ1c2VybmFtZSI6ImRvY2tfdXNlciIsInBhc3N3b3JkIjoiZG9ja19wYXNzd29yZCIsImVtYWlsIjoiZG9ja191c2VyQG15cHJpdmF0ZXJlZ2lzdHJ5LmNvbSIsImF1dGgiOiJaRzlqYTE5MWMyVnlPbVJ2WTJ0ZmNHRnpjM2R2Y21RPSJ9fX0=";
        assert_eq!(told.map(|text| STANDARD.encode(text)).as_deref(), Some(kubectl));

        let told =
            composed(&[("host", "https://index.docker.io/v1/"), ("username", "u"), ("password", "p:q")]);
        let kubectl = r#"{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p:q","auth":"dTpwOnE="}}}"#;
        assert_eq!(told.as_deref(), Some(kubectl));
        assert_eq!(composed(&[("host", "h"), ("username", "u")]), None);
    }

    #[test]
    fn characters_are_escaped_as_go_does_and_read_back_as_the_same() {
        let password = "\"\\\n\r\t\u{8}\u{c}\0\u{1f} <&>\u{7f}/ü\u{2028}\u{2029}😀";
        let text = composed(&[("host", "h"), ("username", "u"), ("password", password)]).unwrap();
        let escaped = r#""\"\\\n\r\t\b\f\u0000\u001f \u003c\u0026\u003e"#;
        assert!(text.contains(&format!("{escaped}\u{7f}/ü\\u2028\\u2029😀\"")), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let entry = &read["auths"]["h"];
        assert_eq!(entry["password"], password);
        let auth = STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap();
        assert_eq!(auth, format!("u:{password}").as_bytes());
    }

    #[test]
    fn the_largest_values_fit_into_a_secret() {
        let largest = "&".repeat(crate::limits::VALUE_BYTES);
        let parts = [HOST, USERNAME, PASSWORD, EMAIL].map(|key| (key, largest.as_str()));
        assert!(composed(&parts).unwrap().len() <= crate::limits::SECRET_BYTES);
    }
}
