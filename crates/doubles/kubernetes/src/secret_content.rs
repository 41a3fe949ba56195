//! What the real API server asks of the contents of a Secret by its type (`ValidateSecret` in
//! `pkg/apis/core/validation`), with its messages: those of Go's JSON parser for what people store most often by mistake.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;
use serde_json::{Value, error::Category};

use super::{object::text, status::Cause};

/// The causes to refuse a Secret.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let has = |key: &str| object.get("data").is_some_and(|data| data.get(key).is_some());
    let require = |keys: &[&str]| -> Vec<Cause> {
        let missing = keys.iter().filter(|key| !has(key));
        missing.map(|key| Cause::required(format!("data[{key}]"), "")).collect()
    };
    match text(object, "/type") {
        "kubernetes.io/tls" => require(&["tls.crt", "tls.key"]),
        "kubernetes.io/ssh-auth" if decoded(object, "ssh-privatekey").is_none_or(|key| key.is_empty()) => {
            vec![Cause::required("data[ssh-privatekey]", "")]
        }
        "kubernetes.io/dockerconfigjson" => json(object, ".dockerconfigjson"),
        "kubernetes.io/dockercfg" => json(object, ".dockercfg"),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            require(&["username", "password"])
        }
        "kubernetes.io/service-account-token"
            if object.pointer("/metadata/annotations/kubernetes.io~1service-account.name").is_none() =>
        {
            vec![Cause::required("metadata.annotations[kubernetes.io/service-account.name]", "")]
        }
        _ => Vec::new(),
    }
}

fn decoded(object: &Value, key: &str) -> Option<Vec<u8>> {
    STANDARD.decode(object.get("data")?.get(key)?.as_str()?).ok()
}

/// The key must be there, and hold a JSON object.
fn json(object: &Value, key: &str) -> Vec<Cause> {
    let field = format!("data[{key}]");
    let Some(bytes) = decoded(object, key) else { return vec![Cause::required(field, "")] };
    let problem = json_problem(&bytes);
    problem.map(|problem| Cause::invalid(field, "<secret contents redacted>", &problem)).into_iter().collect()
}

/// What Go says when it reads these bytes into a map.
fn json_problem(bytes: &[u8]) -> Option<String> {
    let start = bytes.trim_ascii_start();
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        let first = start.first().copied().unwrap_or_default();
        return Some(match error.classify() {
            Category::Eof => "unexpected end of JSON input".to_owned(),
            _ if !b"{[\"-tfn0123456789".contains(&first) => {
                format!("invalid character '{}' looking for beginning of value", first.escape_ascii())
            }
            _ => match bytes.get(position(bytes, &error)) {
                Some(byte) if error.to_string().starts_with("trailing characters") => {
                    format!("invalid character '{}' after top-level value", byte.escape_ascii())
                }
                _ => "invalid character in JSON input".to_owned(),
            },
        });
    }
    let kind = match start.first()? {
        b'{' | b'n' => return None,
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "bool",
        _ => "number",
    };
    Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
}

/// The index of the byte that an error names by line and column.
fn position(bytes: &[u8], error: &serde_json::Error) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    (lines.map(<[u8]>::len).sum::<usize>() + error.column()).saturating_sub(1)
}
