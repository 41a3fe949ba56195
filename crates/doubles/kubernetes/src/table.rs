//! Tables for `kubectl get`: the columns of a resource and the cells of an object.

use serde_json::{Value, json};

use super::{
    object::{meta, text},
    resources::{Builtin, Served},
};

/// The column definitions of a resource.
pub(super) fn columns(served: &Served) -> Vec<Value> {
    let name = column("Name", "string", "name", 0);
    let age = column("Age", "string", "", 0);
    let between: Vec<Value> = match served.builtin() {
        Some(Builtin::Namespace) => vec![column("Status", "string", "", 0)],
        Some(Builtin::Secret) => vec![column("Type", "string", "", 0), column("Data", "string", "", 0)],
        Some(Builtin::ServiceAccount) => vec![column("Secrets", "string", "", 0)],
        Some(Builtin::ConfigMap) => vec![column("Data", "string", "", 0)],
        Some(Builtin::Lease) => vec![column("Holder", "string", "", 0)],
        Some(Builtin::Crd) => return vec![name, column("Created At", "date", "", 0)],
        Some(Builtin::Event) => {
            return vec![
                column("Last Seen", "string", "", 0),
                column("Type", "string", "", 0),
                column("Reason", "string", "", 0),
                column("Object", "string", "", 0),
                column("Message", "string", "", 0),
                column("Name", "string", "name", 1),
            ];
        }
        None => {
            let own = &served.version().columns;
            let own: Vec<_> = own.iter().map(custom_column).collect();
            if !own.is_empty() {
                return [vec![name], own].concat();
            }
            Vec::new()
        }
    };
    let age = if served.builtin().is_none() { column("Age", "date", "", 0) } else { age };
    [vec![name], between, vec![age]].concat()
}

/// The cells of an object, one for each column.
pub(super) fn cells(served: &Served, object: &Value) -> Vec<Value> {
    let name = json!(meta(object, "name"));
    let age = json!(age(meta(object, "creationTimestamp")));
    let size = |field: &str| object.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    match served.builtin() {
        Some(Builtin::Namespace) => vec![name, json!(text(object, "/status/phase")), age],
        Some(Builtin::Secret) => vec![name, json!(text(object, "/type")), json!(size("data")), age],
        Some(Builtin::ServiceAccount) => {
            let secrets = object["secrets"].as_array().map_or(0, Vec::len);
            vec![name, json!(secrets), age]
        }
        Some(Builtin::ConfigMap) => vec![name, json!(size("data") + size("binaryData")), age],
        Some(Builtin::Lease) => vec![name, json!(text(object, "/spec/holderIdentity")), age],
        Some(Builtin::Crd) => vec![name, json!(meta(object, "creationTimestamp"))],
        Some(Builtin::Event) => {
            let involved = text(object, "/involvedObject/kind").to_lowercase();
            vec![
                json!(self::age(text(object, "/lastTimestamp"))),
                json!(text(object, "/type")),
                json!(text(object, "/reason")),
                json!(format!("{involved}/{}", text(object, "/involvedObject/name"))),
                json!(text(object, "/message")),
                name,
            ]
        }
        None => {
            let own = served.version().columns.iter().map(|column| custom_cell(column, object));
            let own: Vec<_> = own.collect();
            if own.is_empty() { vec![name, age] } else { [vec![name], own].concat() }
        }
    }
}

fn column(name: &str, kind: &str, format: &str, priority: u32) -> Value {
    json!({ "name": name, "type": kind, "format": format, "description": "", "priority": priority })
}

fn custom_column(column: &Value) -> Value {
    json!({
        "name": column["name"],
        "type": column["type"],
        "format": text(column, "/format"),
        "description": text(column, "/description"),
        "priority": column["priority"].as_u64().unwrap_or(0),
    })
}

fn custom_cell(column: &Value, object: &Value) -> Value {
    let found = find(object, text(column, "/jsonPath"));
    match (text(column, "/type"), found) {
        (_, None) => Value::Null,
        ("date", Some(value)) => json!(age(value.as_str().unwrap_or_default())),
        ("string", Some(Value::String(value))) => json!(value),
        ("string", Some(value)) => json!(value.to_string()),
        (_, Some(value)) => value.clone(),
    }
}

/// The simple JSON paths that printer columns use: fields, indices and `[?(@.field=="value")]`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[?(@.") {
            let (condition, after) = inner.split_once(")]")?;
            let (field, wanted) = condition.split_once("==")?;
            let wanted = wanted.trim().trim_matches(['"', '\'']);
            at = at.as_array()?.iter().find(|item| item[field.trim()] == wanted)?;
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = inner.split_once(']')?;
            let key = key.trim_matches(['"', '\'']);
            at = match key.parse::<usize>() {
                Ok(index) => at.get(index)?,
                Err(_) => at.get(key)?,
            };
            rest = after;
        } else {
            let inner = rest.strip_prefix('.')?;
            // A backslash escapes a dot in a name.
            let mut end = inner.len();
            let bytes = inner.as_bytes();
            for (index, byte) in bytes.iter().enumerate() {
                if matches!(byte, b'.' | b'[') && (index == 0 || bytes[index - 1] != b'\\') {
                    end = index;
                    break;
                }
            }
            at = at.get(inner[..end].replace('\\', ""))?;
            rest = &inner[end..];
        }
    }
    Some(at)
}

/// An age in kubectl's format.
fn age(timestamp: &str) -> String {
    let Ok(time) = timestamp.parse::<jiff::Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = jiff::Timestamp::now().duration_since(time).as_secs();
    let two = |big: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, 'y', days % 365, 'd'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printer_columns_find_fields_indices_and_conditions() {
        let object = json!({
            "metadata": { "annotations": { "a.b/c": "noted" } },
            "status": { "list": [1, 2], "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        assert_eq!(find(&object, ".status.list[1]"), Some(&json!(2)));
        assert_eq!(find(&object, ".status.conditions[?(@.type==\"Ready\")].status"), Some(&json!("True")));
        assert_eq!(find(&object, ".metadata.annotations.a\\.b/c"), Some(&json!("noted")));
        assert_eq!(find(&object, ".status.missing.deep"), None);
    }
}
