//! Label and field selectors.

use serde_json::Value;

use super::{
    object::text,
    resources::{Builtin, Served},
    status::ApiError,
};

/// Which objects of a resource are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

#[derive(Clone, Debug)]
struct Field {
    pointer: String,
    value: String,
    equal: bool,
}

// === impl Selector ===

impl Selector {
    pub fn parse(labels: &str, fields: &str, served: &Served) -> Result<Self, ApiError> {
        let labels = parse_labels(labels)
            .map_err(|error| ApiError::bad_request(format!("unable to parse requirement: {error}")))?;
        Ok(Self { labels, fields: parse_fields(fields, served)? })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(object))
            && self.fields.iter().all(|field| (text(object, &field.pointer) == field.value) == field.equal)
    }
}

// === impl Requirement ===

impl Requirement {
    fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => label(key).is_some_and(|value| values.iter().any(|v| v == value)),
            Self::NotIn(key, values) => label(key).is_none_or(|value| values.iter().all(|v| v != value)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::Greater(key, limit) => number(key).is_some_and(|value| value > *limit),
            Self::Less(key, limit) => number(key).is_some_and(|value| value < *limit),
        }
    }
}

fn parse_labels(selector: &str) -> Result<Vec<Requirement>, String> {
    split_outside_parentheses(selector).into_iter().map(parse_requirement).collect()
}

/// Commas separate requirements, but not the values of a set.
fn split_outside_parentheses(selector: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&selector[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn parse_requirement(part: &str) -> Result<Requirement, String> {
    let key = |key: &str| -> Result<String, String> {
        let key = key.trim();
        match super::names::label_key_problem(key) {
            None => Ok(key.to_owned()),
            Some(problem) => Err(format!("<nil>: Invalid value: {key:?}: {problem}")),
        }
    };
    let one = |value: &str| -> Result<Vec<String>, String> {
        match super::names::label_value_problem(value.trim()) {
            None => Ok(vec![value.trim().to_owned()]),
            Some(problem) => Err(format!("<nil>: Invalid value: {:?}: {problem}", value.trim())),
        }
    };
    if let Some((name, set)) = part.split_once(" notin ") {
        return Ok(Requirement::NotIn(key(name)?, parse_set(set)?));
    }
    if let Some((name, set)) = part.split_once(" in ") {
        return Ok(Requirement::In(key(name)?, parse_set(set)?));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, one(value)?));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(name)?, one(value)?));
    }
    for (sign, greater) in [('>', true), ('<', false)] {
        if let Some((name, value)) = part.split_once(sign) {
            let limit =
                value.trim().parse().map_err(|_| "for 'Gt', 'Lt' operators, the value must be an integer")?;
            let name = key(name)?;
            return Ok(if greater {
                Requirement::Greater(name, limit)
            } else {
                Requirement::Less(name, limit)
            });
        }
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Requirement::Absent(key(name)?)),
        None => Ok(Requirement::Exists(key(part)?)),
    }
}

fn parse_set(set: &str) -> Result<Vec<String>, String> {
    let inner = set.trim().strip_prefix('(').and_then(|set| set.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("found '{}', expected: '('", set.trim()))?;
    Ok(inner.split(',').map(|value| value.trim().to_owned()).collect())
}

fn parse_fields(selector: &str, served: &Served) -> Result<Vec<Field>, ApiError> {
    let parts = selector.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value, equal) = if let Some((name, value)) = part.split_once("!=") {
                (name, value, false)
            } else if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (name, value, true)
            } else {
                return Err(ApiError::bad_request(format!("invalid selector: '{selector}'; can't understand '{part}'")));
            };
            if !is_selectable(name, served) {
                let message = format!(
                    "Unable to find {:?} that match label selector \"\", field selector {selector:?}: field label not supported: {name}",
                    format!("{}, Resource={}", served.api_version(), served.resource.plural),
                );
                return Err(ApiError::bad_request(message));
            }
            Ok(Field { pointer: format!("/{}", name.replace('.', "/")), value: value.to_owned(), equal })
        })
        .collect()
}

fn is_selectable(field: &str, served: &Served) -> bool {
    match field {
        "metadata.name" => true,
        "metadata.namespace" => served.resource.namespaced,
        "type" => matches!(served.builtin(), Some(Builtin::Secret | Builtin::Event)),
        "status.phase" => served.builtin() == Some(Builtin::Namespace),
        "reason" | "reportingComponent" | "source" => served.builtin() == Some(Builtin::Event),
        field => field.starts_with("involvedObject.") && served.builtin() == Some(Builtin::Event),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &str) -> bool {
        let object = json!({ "metadata": { "labels": { "app": "x", "tier": "db", "n": "5" } } });
        Selector { labels: parse_labels(selector).unwrap(), fields: Vec::new() }.matches(&object)
    }

    #[test]
    fn every_form_of_a_label_selector_is_understood() {
        for selector in [
            "",
            "app=x",
            "app==x",
            "app!=y",
            "other!=x",
            "app",
            "!other",
            "app in (x, y),tier",
            "tier notin (web)",
            "other notin (a)",
            "n>4",
            "n<6",
            "app=x,tier in (db,web),!other",
        ] {
            assert!(matches(selector), "{selector}");
        }
        for selector in
            ["app=y", "app!=x", "other", "!app", "app in (y)", "tier notin (db,web)", "n>5", "app=x,other"]
        {
            assert!(!matches(selector), "{selector}");
        }
        for selector in ["app in x", "-a=b", "a=b c", "n>x"] {
            assert!(parse_labels(selector).is_err(), "{selector}");
        }
    }
}
