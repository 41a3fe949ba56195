//! Label and field selectors.

mod labels;

use serde_json::Value;

use self::labels::Requirement;
use super::{
    object::text,
    resources::{Builtin, Served},
    status::ApiError,
};

/// A label selector and a field selector.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
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
        let labels = labels::parse(labels).map_err(ApiError::bad_request)?;
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

fn parse_fields(selector: &str, served: &Served) -> Result<Vec<Field>, ApiError> {
    let parts = selector.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value, equal) = if let Some((name, value)) = part.split_once("!=") {
                (name, value, false)
            } else if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (name, value, true)
            } else {
                return Err(ApiError::bad_request(format!(
                    "invalid selector: '{selector}'; can't understand '{part}'"
                )));
            };
            if !is_selectable(name, served) {
                return Err(ApiError::bad_request(format!("field label not supported: {name}")));
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
