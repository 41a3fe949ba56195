//! CEL validation rules of custom resources (`x-kubernetes-validations`), except transition rules.

use std::collections::BTreeMap;

use cel::{Context, Program, to_value};
use serde_json::Value;

use super::Cause;

/// The rules of a schema, by position.
#[derive(Default)]
pub(super) struct Rules {
    own: Vec<Rule>,
    properties: BTreeMap<String, Rules>,
    /// The rules of the items of a list, or of the values of a map.
    each: Option<Box<Rules>>,
}

struct Rule {
    program: Program,
    reason: String,
    message: String,
}

// === impl Rules ===

impl Rules {
    pub(super) fn of(schema: &Value) -> Self {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let properties = properties.map(|(name, schema)| (name.clone(), Self::of(schema)));
        let each = ["items", "additionalProperties"].map(|keyword| &schema[keyword]);
        let each = each.into_iter().find(|schema| schema.is_object()).map(Self::of);
        Self {
            own: rules.filter_map(Rule::of).collect(),
            properties: properties.filter(|(_, rules)| !rules.is_empty()).collect(),
            each: each.filter(|rules| !rules.is_empty()).map(Box::new),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.properties.is_empty() && self.each.is_none()
    }

    /// The rules that a value violates.
    pub(super) fn check(&self, value: &Value, path: &str, causes: &mut Vec<Cause>) {
        let broken = self.own.iter().filter(|rule| !rule.holds(value));
        causes.extend(
            broken.map(|rule| Cause::new(&rule.reason, format!("Invalid value: {}", rule.message), path)),
        );
        for (name, rules) in &self.properties {
            if let Some(value) = value.get(name) {
                rules.check(value, &super::join(path, name), causes);
            }
        }
        let Some(each) = &self.each else { return };
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    each.check(item, &format!("{path}[{index}]"), causes);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields.iter().filter(|(name, _)| !self.properties.contains_key(*name)) {
                    each.check(field, &format!("{path}[{name}]"), causes);
                }
            }
            _ => {}
        }
    }
}

// === impl Rule ===

impl Rule {
    /// None for transition rules, and rules that use Kubernetes' CEL libraries.
    fn of(rule: &Value) -> Option<Self> {
        let source = rule["rule"].as_str()?;
        let program = Program::compile(source);
        let program = program.inspect_err(|_| tracing::warn!(rule = source, "a CEL rule isn't understood"));
        let program = program.ok().filter(|program| !program.references().has_variable("oldSelf"))?;
        let message = rule["message"].as_str().map(str::to_owned);
        Some(Self {
            program,
            reason: rule["reason"].as_str().unwrap_or("FieldValueInvalid").to_owned(),
            message: message.unwrap_or_else(|| format!("failed rule: {source}")),
        })
    }

    /// Whether a value satisfies the rule. A rule that can't be evaluated here counts as satisfied.
    fn holds(&self, value: &Value) -> bool {
        let mut context = Context::default();
        let Ok(value) = to_value(value) else { return true };
        context.add_variable_from_value("self", value);
        self.program.execute(&context) != Ok(cel::Value::Bool(false))
    }
}
