use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Condition, ConditionType, Reason, Status, SyncedSecret};

const TABLE: &str = include_str!("rules.txt");

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn found(rules: &UsageRules, group_kind: &str, body: &Value) -> Vec<Usage> {
    let (kind, group) = group_kind.split_once('.').unwrap();
    let group_kind = GroupKind { group: group.to_owned(), kind: kind.to_owned() };
    let subject = Subject { api_version: "v", group_kind: &group_kind, namespace: "n", name: "r" };
    rules.usages_of(subject, body)
}

/// `field=secret/key`, with a `?` behind guesses.
fn told(usages: &[Usage]) -> Vec<String> {
    let one = |usage: &Usage| {
        let guessed = if usage.guessed { "?" } else { "" };
        format!("{}={}/{}{guessed}", usage.field, usage.secret, usage.needs.key())
    };
    usages.iter().map(one).collect()
}

#[test]
fn every_line_of_the_table_is_a_rule_that_round_trips() {
    assert!(lines().count() > 20);
    for line in lines() {
        assert_eq!(line.parse::<UsageRule>().map(|rule| rule.to_string()).as_deref(), Ok(line));
    }
}

#[test]
fn every_line_of_the_table_finds_its_field() {
    for line in lines().filter(|line| line.contains(' ')) {
        let words: Vec<_> = line.split(' ').collect();
        if words[2] == "FIXED" {
            continue;
        }
        let beside = words.get(3).and_then(|word| word.strip_prefix('@'));
        let key = if words[2] == "SECRET/KEY" || beside.is_some() { "username" } else { "" };
        let mut body = json!(if words[2] == "SECRET/KEY" { "edp1secrets/username" } else { "edp1secrets" });
        let mut parts = words[1].split('.').rev();
        if let Some(beside) = beside {
            body = json!({ parts.next().unwrap(): body, beside: "username" });
        }
        for part in parts {
            match part.strip_suffix("[*]") {
                None if part == "**" => body = json!({ "template": { "containers": [body] } }),
                Some(name) => body = json!({ name: [{}, body] }),
                None if part == "*" => body = json!({ "onvif-0": body, "other": {} }),
                None => body = json!({ part: body }),
            }
        }
        let field =
            words[1].replace("[*]", "[1]").replace("**", "template.containers[0]").replace('*', "onvif-0");
        let usages = found(&UsageRules::default(), words[0], &body);
        if words[2] == "OUTPUT" {
            let (kind, group) = words[0].split_once('.').unwrap();
            let group_kind = GroupKind { group: group.to_owned(), kind: kind.to_owned() };
            let subject = Subject { api_version: "v", group_kind: &group_kind, namespace: "n", name: "r" };
            let outputs = UsageRules::default().outputs_of(subject, &body);
            let [output] = outputs.as_slice() else { panic!("{line}: {outputs:?}") };
            assert_eq!((usages, output.secret.as_str()), (Vec::new(), "edp1secrets"), "{line}");
            assert_eq!(output.to_string(), format!("{kind} r ({field})"), "{line}");
            continue;
        }
        let [usage] = usages.as_slice() else { panic!("{line}: {usages:?}") };
        assert_eq!(usage.field, field, "{line}");
        assert_eq!((usage.secret.as_str(), usage.guessed), ("edp1secrets", false), "{line}");
        assert_eq!(usage.needs.key(), key, "{line}");
    }
}

#[test]
fn a_field_found_only_by_its_name_is_a_guess_and_only_in_known_groups() {
    let body = json!({
        "spec": {
            "runtime": { "pull.secrets": [{ "secretRef": "pull" }, { "secretRef": "https://no.name" }] },
            "tokenSecretName": "a/b", "otherSecretRef": { "name": "x" }, "secretReference": "y", "secretRef": 7,
            "env": { "secretKeyRef": { "name": "x", "key": "k" } }, "deep": { "secretRef": { "of": { "secretName": "z" } } },
        },
        "status": { "secretRef": "seen" },
    });
    let template = found(&UsageRules::default(), "ConnectorTemplate.akri.iotoperations.azure.com", &body);
    assert_eq!(
        told(&template),
        [
            "spec.deep.secretRef.of.secretName=z/?",
            "spec.env.secretKeyRef.name=x/k?",
            "spec.otherSecretRef.name=x/?",
            "spec.runtime[pull.secrets][0].secretRef=pull/?",
            "spec.tokenSecretName=a/b?",
        ]
    );
    assert_eq!(found(&UsageRules::default(), "Pod.example.com", &body), []);
}

#[test]
fn a_field_found_by_a_rule_is_no_guess_and_configured_rules_come_first() {
    let body = json!({ "spec": { "ports": [{ "tls": { "manual": { "secretRef": "tls" } } }] } });
    let listener = "BrokerListener.mqttbroker.iotoperations.azure.com";
    let built_in = found(&UsageRules::default(), listener, &body);
    assert_eq!(told(&built_in), ["spec.ports[0].tls.manual.secretRef=tls/"]);
    assert!(built_in[0].needs.is_missing(|key| key == "tls.crt"));

    let line = format!("{listener} spec.ports[*].tls.manual.secretRef SECRET cert");
    let configured = found(&UsageRules::with([line.parse().unwrap()]), listener, &body);
    assert!(!configured[0].needs.is_missing(|key| key == "cert"));
}

#[test]
fn an_impossible_name_is_a_use_of_a_missing_secret_and_other_text_is_no_use() {
    let credentials = |name: &str| json!({ "spec": { "authentication": { "usernamePasswordCredentials": { "usernameSecretName": name } } } });
    let profile = "AssetEndpointProfile.deviceregistry.microsoft.com";
    let read = |name: &str| told(&found(&UsageRules::default(), profile, &credentials(name)));
    let field = "spec.authentication.usernamePasswordCredentials.usernameSecretName";
    assert_eq!(read("No_Name/k/x"), [format!("{field}=No_Name/k/x")]);
    assert_eq!(read("edp1secrets"), [format!("{field}=edp1secrets/")]);
    for nothing in ["", "/", "/key", "two words", "a\nb", &"a".repeat(600)] {
        assert!(read(nothing).is_empty(), "{nothing:?}");
    }
    let keyless = found(&UsageRules::default(), profile, &credentials("edp1secrets"));
    assert!(keyless[0].needs.is_missing(|_| false), "a field that should name a key and doesn't");
}

#[test]
fn the_field_beside_a_name_holds_the_key() {
    let template = "ConnectorTemplate.akri.iotoperations.azure.com";
    let secrets = json!([{ "secretRef": "a", "secretKey": "k" }, { "secretRef": "b" }, { "secretRef": "c", "secretKey": 7 }]);
    let body = json!({ "spec": { "runtimeConfiguration": { "managedConfigurationSettings": { "secrets": secrets } } } });
    let usages = found(&UsageRules::default(), template, &body);
    let keys: Vec<_> = usages.iter().map(|usage| (usage.secret.as_str(), usage.needs.key())).collect();
    assert_eq!(keys, [("a", "k"), ("b", ""), ("c", "")]);
    assert!(usages[1].needs.is_missing(|_| false), "a field that should have a key beside it and has none");
}

#[test]
fn a_pod_template_is_searched_at_any_depth() {
    let template = "ConnectorTemplate.akri.iotoperations.azure.com";
    let pod = json!({
        "volumes": [{ "secret": { "secretName": "mounted" } }, { "emptyDir": {} }],
        "imagePullSecrets": [{ "name": "pull" }],
        "containers": [{
            "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "env", "key": "a" } } }],
            "envFrom": [{ "secretRef": { "name": "all" } }, { "configMapRef": { "name": "no" } }],
        }],
    });
    let settings = json!({ "statefulSetConfigurationSettings": { "template": { "spec": pod } } });
    let body = json!({ "spec": { "runtimeConfiguration": { "managedConfigurationSettings": settings } } });
    let usages = found(&UsageRules::default(), template, &body);
    let at = "spec.runtimeConfiguration.managedConfigurationSettings.statefulSetConfigurationSettings.template.spec";
    assert_eq!(
        told(&usages),
        [
            format!("{at}.containers[0].envFrom[0].secretRef.name=all/"),
            format!("{at}.containers[0].env[0].valueFrom.secretKeyRef.name=env/a"),
            format!("{at}.imagePullSecrets[0].name=pull/"),
            format!("{at}.volumes[0].secret.secretName=mounted/"),
        ]
    );
}

#[test]
fn of_alternative_keys_the_complete_ones_are_used() {
    let line = "Kind.example.com spec.x SECRET username+password+hint?|token";
    let rules = UsageRules::with([line.parse().unwrap()]);
    let needs = found(&rules, "Kind.example.com", &json!({ "spec": { "x": "s" } })).remove(0).needs;
    let both = |key: &str| ["username", "password", "token"].contains(&key);
    assert!(needs.uses("username", both) && needs.uses("hint", both) && !needs.uses("token", both));
    let token = |key: &str| key == "token";
    assert!(needs.uses("token", token) && !needs.uses("username", token) && !needs.is_missing(token));
    assert!(needs.is_missing(|key| key == "username"));
}

#[test]
fn an_invalid_rule_is_refused_with_the_valid_form() {
    for (wrong, word) in [
        ("", "a rule is"),
        ("Kind.g.example spec.x SECRET k more", "a rule is"),
        ("Kind spec.x SECRET", "KIND.GROUP"),
        ("kind.example.com spec.x SECRET", "KIND.GROUP"),
        ("Kind.example.com spec..x SECRET", "not a path"),
        ("Kind.example.com spec[0].x SECRET", "not a path"),
        ("Kind.example.com spec.x WHOLE", "not a format"),
        ("Kind.example.com spec.x SECRET/KEY k", "leave the keys out"),
        ("Kind.example.com spec.x SECRET a+/", "a key has"),
        ("Kind.example.com spec.x SECRET @", "the field beside it"),
        ("Kind.example.com spec.x SECRET @a.b", "the field beside it"),
        ("Kind.example.com spec.x OUTPUT k", "has no keys"),
        ("Kind.example.com x FIXED y", "kind of a program"),
        ("* x FIXED y", "kind of a program"),
        ("Kind x FIXED Y", "lower"),
        ("Kind.example.com spec.**.a.**.b SECRET", "one **"),
        ("Kind.example.com spec.** SECRET", "one **"),
    ] {
        let error = wrong.parse::<UsageRule>().unwrap_err().to_string();
        assert!(error.contains(word), "{wrong:?}: {error}");
    }
}

#[test]
fn a_usage_filter_selects_kinds_resources_and_unused_secrets() {
    let user = |kind: &str, resource: &str| User { kind: kind.to_owned(), resource: resource.to_owned() };
    let users = vec![user("Device", "camera-7"), user("BrokerListener", "a")];
    let used = SyncedSecret { users, ..SyncedSecret::example("used") };
    let unknown = SyncedSecret::example("unknown");
    let condition = Condition::new(ConditionType::InUse, Status::False, Reason::NotUsed, "");
    let unused = SyncedSecret { conditions: vec![condition], ..SyncedSecret::example("unused") };
    let by = |kind: &str, resource: &str| {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        UsedBy::Resource { kind: given(kind), resource: given(resource) }
    };
    assert!(used.is_used_as(&by("", "")) && !unused.is_used_as(&by("", "")));
    assert!(used.is_used_as(&by("Device", "")) && used.is_used_as(&by("Device", "camera-7")));
    assert!(used.is_used_as(&by("", "a")) && !used.is_used_as(&by("Device", "a")));
    assert!(unused.is_used_as(&UsedBy::Nothing) && !used.is_used_as(&UsedBy::Nothing));
    assert!(!unknown.is_used_as(&UsedBy::Nothing), "nobody knows");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    let name = prop_oneof![
        Just("spec".to_owned()),
        Just("ports".to_owned()),
        Just("tls".to_owned()),
        Just("manual".to_owned()),
        Just("secretRef".to_owned()),
        Just("authentication".to_owned()),
        ".*",
    ];
    leaf.prop_recursive(8, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_resource_makes_the_search_panic_and_every_use_names_something(body in any_json()) {
        for kind in ["BrokerListener.mqttbroker.iotoperations.azure.com", "Device.namespaces.deviceregistry.microsoft.com"] {
            for usage in found(&UsageRules::default(), kind, &json!({ "spec": body })) {
                prop_assert!(!usage.secret.is_empty());
                prop_assert!(usage.field.starts_with("spec"));
            }
        }
    }

    #[test]
    fn no_text_makes_rule_parsing_panic_and_parsed_rules_round_trip(text in ".*") {
        if let Ok(rule) = text.parse::<UsageRule>() {
            prop_assert_eq!(rule.to_string().parse::<UsageRule>(), Ok(rule));
        }
    }
}

#[test]
fn a_program_uses_secrets_under_fixed_names_without_a_resource() {
    let own = "Scada line-4 FIXED scada-login".parse().unwrap();
    let rules = UsageRules::with([own]);
    let fixed: Vec<_> =
        rules.fixed("n").iter().map(|usage| (usage.to_string(), usage.secret.clone())).collect();
    let connector = |name: &str| {
        ("OpcUaConnector aio-opc-ua-broker (fixed name)".to_owned(), format!("aio-opc-ua-broker-{name}"))
    };
    let all = [connector("trust-list"), connector("issuer-list"), connector("client-certificate")];
    assert_eq!(fixed[0], ("Scada line-4 (fixed name)".to_owned(), "scada-login".to_owned()));
    assert_eq!(fixed[1..], all);
    let usage = &rules.fixed("n")[1];
    assert_eq!(usage.subject(), "OpcUaConnector/aio-opc-ua-broker");
    assert!(usage.is_fixed() && !usage.needs.is_missing(|_| false) && !usage.needs.uses("ca.crt", |_| true));
    assert!(!rules.groups().contains("") && !rules.covers("", "OpcUaConnector"));
    assert_eq!(found(&rules, "OpcUaConnector.example.com", &json!({ "spec": { "secretRef": "a" } })), []);
}
