//! Schema errors, with the real server's messages.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use super::{Cause, CustomSchema, join};

impl CustomSchema {
    pub(super) fn cause(&self, error: &ValidationError<'_>) -> Cause {
        let field = dotted(error.instance_path().as_str());
        let inside = field.strip_prefix("status.").filter(|_| self.status_apart).unwrap_or(&field).to_owned();
        let shown = error.instance().to_string();
        let length = error.instance().as_array().map_or(0, Vec::len);
        let body = |rule: String| {
            Cause::new(
                "FieldValueInvalid",
                format!("Invalid value: {shown}: {inside} in body {rule}"),
                &field,
            )
        };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                Cause::required(join(&field, property.as_str().unwrap_or_default()), "")
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<_> =
                    options.as_array().into_iter().flatten().map(Value::to_string).collect();
                let message = format!("Unsupported value: {shown}: supported values: {}", options.join(", "));
                Cause::new("FieldValueNotSupported", message, field)
            }
            ValidationErrorKind::Type { .. } => {
                let is = type_name(error.instance());
                let wanted = error.masked().to_string();
                let wanted = wanted.rsplit("type ").next().unwrap_or_default().replace('"', "");
                let message =
                    format!("Invalid value: {is:?}: {inside} in body must be of type {wanted}: {is:?}");
                Cause::new("FieldValueTypeInvalid", message, field)
            }
            ValidationErrorKind::MaxLength { limit } => {
                Cause::too_long(field, usize::try_from(*limit).unwrap_or(usize::MAX))
            }
            ValidationErrorKind::MinLength { limit } => {
                body(format!("should be at least {limit} chars long"))
            }
            ValidationErrorKind::Pattern { pattern } => body(format!("should match '{pattern}'")),
            ValidationErrorKind::MinItems { limit } => {
                let message =
                    format!("Invalid value: {length}: {inside} in body should have at least {limit} items");
                Cause::new("FieldValueInvalid", message, field)
            }
            ValidationErrorKind::MaxItems { limit } => {
                let message = format!("Too many: {length}: must have at most {limit} items");
                Cause::new("FieldValueTooMany", message, field)
            }
            ValidationErrorKind::Minimum { limit } => {
                body(format!("should be greater than or equal to {}", number(limit)))
            }
            ValidationErrorKind::Maximum { limit } => {
                body(format!("should be less than or equal to {}", number(limit)))
            }
            ValidationErrorKind::Format { format } => {
                let message =
                    format!("Invalid value: {shown}: {inside} in body must be of type {format}: {shown}");
                Cause::new("FieldValueTypeInvalid", message, field)
            }
            _ => body(format!("breaks the rule {}", error.kind().keyword())),
        }
    }
}

/// A limit, without `.0` for whole numbers.
fn number(limit: &Value) -> String {
    limit.as_f64().map_or_else(|| limit.to_string(), |limit| limit.to_string())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// From `/spec/data/0/key` to `spec.data[0].key`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            path = join(&path, &part.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}
