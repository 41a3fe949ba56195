//! The fields of an AIO Instance that name the default SecretProviderClass, which holds the identity for the
//! vault. It names no secret, so that is no usage.

use serde_json::Value;

use super::{GroupKind, Subject};

/// Group and kind of the resource.
const INSTANCE: (&str, &str) = ("iotoperations.azure.com", "Instance");
/// The field below `spec`.
const FIELD: &str = "defaultSecretProviderClassRef";
/// The fields below it that hold the name, or an ARM id that ends in it: all of them have been seen.
const SPELLINGS: [&str; 3] = ["name", "resourceId", "id"];

/// A field that names the default class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassRef {
    /// The Instance.
    pub resource: String,
    /// The field's path.
    pub field: String,
    /// The name of the class, even if there is none.
    pub class: String,
}

impl ClassRef {
    /// Group and kind of the resources that name the default class.
    pub fn group_kind() -> GroupKind {
        let (group, kind) = INSTANCE;
        GroupKind { group: group.to_owned(), kind: kind.to_owned() }
    }

    /// The classes that a resource names. `body` is its content without metadata.
    pub fn all_of(subject: Subject<'_>, body: &Value) -> Vec<Self> {
        let GroupKind { group, kind } = subject.group_kind;
        let named = body.get("spec").and_then(|spec| spec.get(FIELD));
        let Some(named) = named.filter(|_| (group.as_str(), kind.as_str()) == INSTANCE) else {
            return Vec::new();
        };
        let read = |spelling: &str, text: &Value| {
            let text = text.as_str()?.trim().trim_end_matches('/');
            let class = text.rsplit('/').next().filter(|class| !class.is_empty())?.to_owned();
            Some(Self { resource: subject.name.to_owned(), field: format!("spec.{FIELD}{spelling}"), class })
        };
        let spellings =
            SPELLINGS.into_iter().filter_map(|spelling| read(&format!(".{spelling}"), named.get(spelling)?));
        read("", named).into_iter().chain(spellings).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(kind: &str, reference: Value) -> Vec<(String, String)> {
        let group_kind = GroupKind { kind: kind.to_owned(), ..ClassRef::group_kind() };
        let subject = Subject { api_version: "v", group_kind: &group_kind, namespace: "n", name: "aio" };
        let body = json!({ "spec": { "defaultSecretProviderClassRef": reference } });
        ClassRef::all_of(subject, &body).into_iter().map(|found| (found.field, found.class)).collect()
    }

    #[test]
    fn each_spelling_of_the_default_class_is_read() {
        let field = |below: &str| format!("spec.defaultSecretProviderClassRef{below}");
        let arm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.SecretSyncController/\
                   azureKeyVaultSecretProviderClasses/spc-ops-1a2b3c4";
        for (reference, below, class) in [
            (json!({ "name": "contoso" }), ".name", "contoso"),
            (json!({ "resourceId": arm }), ".resourceId", "spc-ops-1a2b3c4"),
            (json!({ "id": format!("{arm}/") }), ".id", "spc-ops-1a2b3c4"),
            (json!("contoso"), "", "contoso"),
        ] {
            assert_eq!(named("Instance", reference), [(field(below), class.to_owned())]);
        }
        let both = named("Instance", json!({ "name": "a", "resourceId": "/x/b" }));
        assert_eq!(both, [(field(".name"), "a".to_owned()), (field(".resourceId"), "b".to_owned())]);
    }

    #[test]
    fn what_names_no_default_class_is_passed_over() {
        for reference in [json!(null), json!({}), json!({ "name": 7 }), json!({ "id": "/" }), json!("  ")] {
            assert_eq!(named("Instance", reference.clone()), [], "{reference}");
        }
        assert_eq!(named("Broker", json!({ "name": "a" })), []);
    }
}
