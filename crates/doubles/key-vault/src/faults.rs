//! What the Key Vault double adds to the common fault rules: matching by operation and secret, and faults that only
//! a vault has.

use doubles_common::faults::{AnyFault, FaultRule, RequestMatch};
use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// Which requests a rule applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationMatch {
    /// The operation; any but [`Operation::Token`] where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The secret, whatever its case; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The faults that only a vault has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum VaultFault {
    /// 403: the identity lacks the role.
    ForbiddenByRbac,
    /// 403: the firewall doesn't let the client's network in.
    ForbiddenByFirewall,
    /// 401: the token has expired.
    ExpiredToken,
    /// A list whose next page is this one again.
    PageLoop,
    /// A list whose next page is on another host.
    ForeignNextLink {
        /// That host, with its port.
        authority: String,
    },
    /// An answer that was recorded elsewhere: of another vault, or of a gateway before it.
    Recorded {
        /// The HTTP status.
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// Restricts a rule to an operation.
pub trait OnOperation {
    /// Only requests for this operation.
    #[must_use]
    fn on(self, operation: Operation) -> Self;
}

// === impl OperationMatch ===

impl RequestMatch for OperationMatch {
    /// The operation, and the secret's name; empty where the request is about none.
    type Request<'a> = (Operation, &'a str);
    type Fault = VaultFault;

    fn matches(&self, (operation, name): &(Operation, &str)) -> bool {
        self.operation.map_or(*operation != Operation::Token, |own| own == *operation)
            && self.name.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(name))
    }

    fn set_name(&mut self, name: String) {
        self.name = Some(name);
    }
}

impl OnOperation for FaultRule<OperationMatch> {
    fn on(mut self, operation: Operation) -> Self {
        self.matcher.operation = Some(operation);
        self
    }
}

// === impl VaultFault ===

impl From<VaultFault> for AnyFault<VaultFault> {
    fn from(fault: VaultFault) -> Self {
        Self::Own(fault)
    }
}

impl PartialEq<VaultFault> for AnyFault<VaultFault> {
    fn eq(&self, other: &VaultFault) -> bool {
        matches!(self, Self::Own(fault) if fault == other)
    }
}

#[cfg(test)]
mod tests {
    use doubles_common::faults::{Fault, FaultRules};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_matches_its_operation_and_its_secret_whatever_the_case() {
        let rules = FaultRules::default();
        rules.add(FaultRule::new(Fault::Hang).on(Operation::SecretGet).named("Db"));
        let is_met = |operation, name| rules.take(&(operation, name), |_| true).is_some();
        assert!(!is_met(Operation::SecretSet, "db"));
        assert!(!is_met(Operation::SecretGet, "other"));
        assert!(is_met(Operation::SecretGet, "db") && is_met(Operation::SecretGet, "DB"));
    }

    #[test]
    fn a_rule_for_any_operation_does_not_apply_to_tokens() {
        let rules = FaultRules::<OperationMatch>::default();
        rules.add(FaultRule::new(Fault::Hang));
        assert!(rules.take(&(Operation::Token, ""), |_| true).is_none());
        assert!(rules.take(&(Operation::SecretList, ""), |_| true).is_some());
    }

    #[test]
    fn rules_have_the_json_that_the_readme_documents() {
        let json = json!({
            "match": { "operation": "SecretSet", "name": "db-password" }, "phase": "before",
            "fault": { "kind": "foreignNextLink", "authority": "vault.example.net" },
        });
        let rule: FaultRule<OperationMatch> = serde_json::from_value(json.clone()).unwrap();
        let fault = VaultFault::ForeignNextLink { authority: "vault.example.net".to_owned() };
        assert_eq!(rule, FaultRule::new(fault).on(Operation::SecretSet).named("db-password"));
        assert_eq!(serde_json::to_value(&rule).unwrap(), json);
    }
}
