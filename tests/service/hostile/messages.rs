//! Any message of the contract, made from its descriptors: right in form, in content half of the time what somebody would send.

use std::fmt;

use proptest::{collection::vec, prelude::*};
use prost::Message;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

/// Begins every value of a secret that is sent.
pub const CANARY: &str = "canary-hostile-";
/// The names that the world of the tests knows: some of a synced secret, some of a vault secret.
pub const KNOWN: [&str; 4] = ["pump", "username", "password", "fan"];
/// Nothing in the contract is nested deeper.
const DEPTH: usize = 6;

/// A message that prints as JSON.
#[derive(Clone)]
pub struct Sent(DynamicMessage);

impl Sent {
    pub fn encoded(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).unwrap_or_else(|error| error.to_string()))
    }
}

/// Any message of a type.
pub fn message(descriptor: &MessageDescriptor) -> impl Strategy<Value = Sent> {
    at_depth(descriptor, DEPTH).prop_map(Sent)
}

fn at_depth(descriptor: &MessageDescriptor, depth: usize) -> BoxedStrategy<DynamicMessage> {
    let fields: Vec<FieldDescriptor> = descriptor.fields().filter(|_| depth > 0).collect();
    let values: Vec<_> =
        fields.iter().map(|field| proptest::option::weighted(0.6, value(field, depth))).collect();
    let descriptor = descriptor.clone();
    let made = move |values: Vec<Option<Value>>| {
        let mut message = DynamicMessage::new(descriptor.clone());
        for (field, value) in fields.iter().zip(values) {
            if let Some(value) = value {
                message.set_field(field, value);
            }
        }
        message
    };
    values.prop_map(made).boxed()
}

fn value(field: &FieldDescriptor, depth: usize) -> BoxedStrategy<Value> {
    if field.is_map() {
        let entry = (text(""), text(""));
        let map = |entries: Vec<(String, String)>| {
            let entries = entries.into_iter().map(|(key, value)| (MapKey::String(key), Value::String(value)));
            Value::Map(entries.collect())
        };
        return vec(entry, 0..4).prop_map(map).boxed();
    }
    let one = single(field, depth);
    match field.cardinality() {
        Cardinality::Repeated => {
            prop_oneof![9 => vec(one.clone(), 0..4), 1 => vec(one, 60..70)].prop_map(Value::List).boxed()
        }
        _ => one,
    }
}

fn single(field: &FieldDescriptor, depth: usize) -> BoxedStrategy<Value> {
    match field.kind() {
        Kind::String => text(&format!("{}.{}", field.parent_message().name(), field.name()))
            .prop_map(Value::String)
            .boxed(),
        Kind::Bytes => vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int32 => number().prop_map(|number| Value::I32(number as i32)).boxed(),
        Kind::Int64 => number().prop_map(Value::I64).boxed(),
        Kind::Enum(kind) => {
            let known: Vec<i32> = kind.values().map(|value| value.number()).collect();
            prop_oneof![4 => proptest::sample::select(known), 1 => any::<i32>()]
                .prop_map(Value::EnumNumber)
                .boxed()
        }
        Kind::Message(kind) => at_depth(&kind, depth - 1).prop_map(Value::Message).boxed(),
        other => panic!("{}: the contract has no {other:?} so far", field.full_name()),
    }
}

/// Small, and at every edge.
fn number() -> BoxedStrategy<i64> {
    let edges = [0, -1, 1000, 1001, i64::from(i32::MIN), i64::from(i32::MAX), i64::MIN, i64::MAX];
    prop_oneof![0..3_i64, proptest::sample::select(edges.to_vec()), any::<i64>()].boxed()
}

/// What may stand in a field of this name.
fn text(field: &str) -> BoxedStrategy<String> {
    let known = || proptest::sample::select(KNOWN.to_vec());
    let meant: BoxedStrategy<String> = match field {
        "NewVaultSecret.value" => {
            return prop_oneof![9 => ".{0,60}", 1 => "[a-z]{25590,25620}"]
                .prop_map(|value: String| format!("{CANARY}{value}"))
                .boxed();
        }
        "CheckResourceRequest.manifest" => {
            let name = || prop_oneof![known().prop_map(str::to_owned), "[a-z/!]{0,9}"];
            let group = "connectivity.iotoperations.azure.com/v1";
            let endpoint = move |(kind, name): (String, String)| {
                let secret = format!("{{saslSettings: {{secretRef: {name:?}, n: {CANARY}}}}}");
                format!(
                    "{{apiVersion: {group}, kind: {kind}, spec: {{kafkaSettings: {{authentication: {secret}}}}}}}"
                )
            };
            let kind = prop_oneof![4 => "DataflowEndpoint", 1 => "[A-Z][a-z]{0,9}"];
            vec((kind, name()).prop_map(endpoint), 0..4).prop_map(|all| all.join("\n---\n")).boxed()
        }
        _ if field.ends_with("_id") && field != "request_id" => known().prop_map(str::to_owned).boxed(),
        _ if field.ends_with("request_id") => {
            any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string()).boxed()
        }
        "CreateSyncedSecretRequest.purpose" => "(|device-credentials|trust-list)".boxed(),
        _ if field.ends_with(".key") => known().prop_map(str::to_owned).boxed(),
        _ if field.ends_with(".version") => "[0-9a-f]{32}".boxed(),
        _ if field.ends_with(".secret_type") => "(Opaque|kubernetes.io/(basic-auth|tls))".boxed(),
        "FieldMask.paths" => {
            "(references|labels|description|\\*|name|state|references\\.key|[a-z_.]{0,12})".boxed()
        }
        _ => (prop_oneof!["syncedSecrets/", "vaultSecrets/", "auditEvents/", ""], known())
            .prop_map(|(collection, id)| format!("{collection}{id}"))
            .boxed(),
    };
    prop_oneof![6 => meant, 2 => ".{0,40}", 1 => "[a-z]{200,300}", 1 => "(-|vault|syncedSecrets/-|\0)"]
        .boxed()
}
