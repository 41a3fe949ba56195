use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Vec<(String, Value)>, String> {
    let manifest = Manifest::read(text)?;
    let one = |resource: &Resource| {
        let namespace = resource.namespace.as_deref().unwrap_or("-");
        let identity = format!("{} {namespace} {}", resource.group_kind, resource.name);
        (format!("{} {identity}", resource.api_version), resource.body["spec"].clone())
    };
    Ok(manifest.resources().iter().map(one).collect())
}

fn problem(text: &str) -> String {
    read(text).err().unwrap_or_else(|| panic!("{text} was read"))
}

#[test]
fn documents_lists_and_json_are_read_in_order() {
    let yaml = "# plant 1\n---\napiVersion: a.b/v1\nkind: Device\nmetadata: {name: x, namespace: n}\nspec: {s: t}\n---\n---\n\
        apiVersion: v1\nkind: List\nitems:\n- {apiVersion: a.b/v1, kind: K, metadata: {name: y}, spec: [u]}\n...\n";
    let json = r#"{"apiVersion": "a.b/v1", "kind": "Device", "metadata": {"name": "x", "namespace": "n"}, "spec": {"s":	"t"}}
        {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "a.b/v1", "kind": "K", "metadata": {"name": "y"}, "spec": ["u"]}]}"#;
    for text in [yaml, json] {
        let all = read(text).unwrap();
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.b/v1 Device.a.b n x", "a.b/v1 K.a.b - y"], "{text}");
        assert_eq!(all[0].1, serde_json::json!({ "s": "t" }));
        assert_eq!(all[1].1, serde_json::json!(["u"]));
    }
}

#[test]
fn anchors_and_merged_maps_are_read_as_kubectl_reads_them() {
    let text = "apiVersion: a.b/v1\nkind: K\nspec:\n  base: &base {secretRef: a, other: b}\n  \
        one: {<<: *base, other: c}\n  two:\n    other: d\n    <<: [{secretRef: e}, *base]\n";
    let spec = &read(text).unwrap()[0].1;
    assert_eq!(spec["one"], serde_json::json!({ "other": "c", "secretRef": "a" }));
    assert_eq!(spec["two"], serde_json::json!({ "other": "d", "secretRef": "e" }));
    let none = "apiVersion: a.b/v1\nkind: K\nspec: {<<: canary}\n";
    assert_eq!(problem(none), "line 3, column 7: merges (<<) what is not a map");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place_and_without_its_text() {
    let mut wrong = Vec::new();
    for (text, wanted) in [
        ("", "must hold at least one resource, with apiVersion and kind"),
        (" \n # nothing\n", "must hold at least one resource, with apiVersion and kind"),
        ("---\n# nothing\n---\n", "must hold at least one resource, with apiVersion and kind"),
        ("canary", "document 1: is not an object"),
        ("kind: K", "document 1: needs an apiVersion such as connectivity.iotoperations.azure.com/v1"),
        ("apiVersion: canary!/v1\nkind: K", "document 1: needs an apiVersion such as"),
        ("apiVersion: v1\nkind: canary\n", "document 1: needs a kind such as"),
        ("apiVersion: v1\nkind: K\n---\napiVersion: v1\n", "document 2: needs a kind such as"),
        ("apiVersion: v1\nkind: K\nmetadata: {name: Canary_1}", "document 1: has a metadata.name that"),
        ("apiVersion: v1\nkind: K\nmetadata: {name: 7}", "document 1: has a metadata.name that"),
        ("apiVersion: v1\nkind: K\nmetadata: canary", "document 1: has metadata that are not an object"),
        ("apiVersion: v1\nkind: List\nitems: [{kind: K}]", "document 1, item 1: needs an apiVersion such as"),
        ("apiVersion: v1\nkind: K\nspec:\n  a: canary\n b: 1\n", "line 5, column 2: is not YAML"),
        (
            "apiVersion: v1\nkind: K\nspec: {a: canary, a: canary}",
            "line 3, column 7: has a field twice in one object",
        ),
        ("apiVersion: v1\nkind: K\nspec: !canary {a: b}", "line 3, column 7: is not YAML"),
        ("{\"apiVersion\": \"v1\",\n \"kind\": \"K\", \"a\": \"canary\" \"b\"}", "line 2, column 29: is not"),
        ("apiVersion: v1\nkind: K\nspec: *canary", "line 3, column 7: is not YAML"),
    ] {
        let told = problem(text);
        if !told.starts_with(wanted) || told.contains("anary") {
            wrong.push(format!("{text}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_manifest_that_stands_for_far_more_than_it_says_is_refused() {
    let many =
        format!("apiVersion: v1\nkind: K\na: &a [{}]\nb: [{}]", "x,".repeat(50_000), "*a,".repeat(50_000));
    assert!(problem(&many).ends_with(TOO_LARGE), "{}", problem(&many));
    // One long name is a part of every path below.
    let long = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"K\", {:?}: [{}1]}}",
        "x".repeat(100_000),
        "{\"secretRef\": \"a\"},".repeat(7_000)
    );
    assert!(long.len() < MANIFEST_BYTES && problem(&long).ends_with(TOO_LARGE), "{}", problem(&long));
    let deep = format!("apiVersion: v1\nkind: K\na: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(problem(&deep).ends_with(TOO_MANY_BRACKETS), "{}", problem(&deep));
    assert_eq!(problem(&" ".repeat(MANIFEST_BYTES + 1)), "must have at most 262144 bytes; split it");
    let all = "apiVersion: v1\nkind: K\n---\n".repeat(RESOURCES + 1);
    assert_eq!(problem(&all), "must hold at most 1000 resources; split it");
}

#[test]
fn long_texts_are_not_kept() {
    let text = format!("apiVersion: v1\nkind: Secret\nspec: {{a: {}}}", "c".repeat(NAME_BYTES + 1));
    assert_eq!(read(&text).unwrap()[0].1, serde_json::json!({ "a": NO_NAME }));
}

#[test]
fn what_a_manifest_costs_is_bounded() {
    // The parser takes ten seconds for the first one, and 200 MB for the last one.
    let lines = |line: &str, count| format!("apiVersion: v1\nkind: K\n{}", line.repeat(count));
    for costly in [
        "{\"\":".repeat(65_000),
        "[".repeat(200_000),
        format!("a: {}", "{\"}\":".repeat(40_000)),
        lines("a: [{}, {}, {}]\n", 8_000),
        format!("a: &a [{}]\nb: [{}]", "{a: },".repeat(2_000), "*a,".repeat(330)),
    ] {
        let begun = std::time::Instant::now();
        let problem = problem(&costly);
        let is_refused = |rule: &&str| problem.ends_with(rule);
        assert!([TOO_MANY_BRACKETS, TOO_LARGE, "is not JSON"].iter().any(is_refused), "{problem}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    // Each document has its own, and JSON has no such limit.
    let documents = "---\napiVersion: v1\nkind: K\nspec: {a: [], b: [], c: [{}, {}, {}, {}]}\n".repeat(900);
    assert!(documents.matches(['[', '{']).count() > BRACKETS && Manifest::read(&documents).is_ok());
    let json = format!("{{\"apiVersion\": \"v1\", \"kind\": \"K\", \"a\": [{}1]}}", "[],".repeat(BRACKETS));
    assert!(Manifest::read(&json).is_ok());
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_manifest() {
    assert!(Manifest::read("\u{feff}apiVersion: v1\nkind: K").is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[\\n\\t {}\\[\\]:,&*\"'-]|apiVersion: v1|kind: K|<<: )*") {
        let _ = Manifest::read(&text);
    }
}
