use serde_json::json;

use super::*;
use crate::model::{Subject, UsageRules};

const PROFILE: &str = "AssetEndpointProfile";
const GROUP: &str = "deviceregistry.microsoft.com";

fn kind() -> GroupKind {
    GroupKind { group: GROUP.to_owned(), kind: PROFILE.to_owned() }
}

fn uses(resource: &str, username: &str, password: &str) -> Named {
    let credentials = json!({ "usernameSecretName": username, "passwordSecretName": password });
    let body = json!({ "spec": { "authentication": { "usernamePasswordCredentials": credentials } } });
    let subject = Subject { api_version: "v1", group_kind: &kind(), namespace: "n", name: resource };
    Named { usages: UsageRules::default().usages_of(subject, &body), ..Named::default() }
}

fn listed(resources: &[(&str, &str, &str)]) -> Known {
    let mut known = Known::nothing_of([GROUP].into());
    known.group_discovered(GROUP, &[kind()].into(), Duration::ZERO);
    let one = |(name, user, password): &(&str, &str, &str)| ((*name).to_owned(), uses(name, user, password));
    known.kind_listed(&kind(), resources.iter().map(one).collect());
    known
}

fn names(usages: &[Arc<Usage>]) -> Vec<String> {
    usages.iter().map(|usage| format!("{} {}/{}", usage.resource, usage.secret, usage.needs.key())).collect()
}

#[test]
fn a_changed_resource_replaces_its_uses_and_notifies_both_secrets() {
    let mut known = listed(&[("a", "s/user", "s/password")]);
    known.changed.clear();
    known.resource_changed(&kind(), "a", uses("a", "t/user", "s/password"));
    assert_eq!(known.changed, HashSet::from(["s".to_owned(), "t".to_owned()]));
    assert_eq!(
        (names(&known.of("s")), names(&known.of("t"))),
        (vec!["a s/password".to_owned()], vec!["a t/user".to_owned()])
    );
    known.changed.clear();
    known.resource_changed(&kind(), "a", uses("a", "t/user", "s/password"));
    assert!(known.changed.is_empty(), "nothing has changed");
    known.resource_changed(&kind(), "a", Named::default());
    assert!(known.all.is_empty() && known.kinds[&kind()].resources.is_empty());
}

#[test]
fn an_output_is_known_until_its_resource_is_gone_or_names_another_secret() {
    let mut known = listed(&[]);
    let output = |secret: &str| {
        let (field, secret) = ("spec.tls.secretName".to_owned(), secret.to_owned());
        let output = Output { group_kind: kind(), resource: "l".to_owned(), field, secret };
        Named { outputs: vec![output], ..Named::default() }
    };
    known.resource_changed(&kind(), "l", output("s"));
    assert_eq!(known.output("s").unwrap().to_string(), format!("{PROFILE} l (spec.tls.secretName)"));
    assert!(known.of("s").is_empty(), "it is no use");
    assert_eq!(std::mem::take(&mut known.changed), ["s".to_owned()].into(), "but the change is reported");
    known.resource_changed(&kind(), "l", output("s"));
    assert!(known.changed.is_empty(), "nothing has changed");
    known.resource_changed(&kind(), "l", output("t"));
    assert_eq!(std::mem::take(&mut known.changed), ["s".to_owned(), "t".to_owned()].into());
    assert!(known.output("s").is_none() && known.output("t").is_some());
    known.kind_listed(&kind(), HashMap::new());
    assert!(known.output("t").is_none());
}

#[test]
fn a_list_removes_missing_resources_and_a_removed_kind_removes_all() {
    let mut known = listed(&[("a", "s/u", "s/p"), ("b", "s/u", "t/p")]);
    known.kind_listed(&kind(), HashMap::from([("b".to_owned(), uses("b", "s/u", "t/p"))]));
    assert_eq!(names(&known.of("s")), ["b s/u"]);
    known.changed.clear();
    known.group_discovered(GROUP, &BTreeSet::new(), Duration::ZERO);
    assert!(known.all.is_empty());
    assert_eq!(known.changed, HashSet::from(["s".to_owned(), "t".to_owned()]));
    known.resource_changed(&kind(), "late", uses("late", "s/u", "s/p"));
    assert!(known.all.is_empty(), "a kind that is gone has no resources");
}

#[test]
fn pages_continue_after_a_position_and_stop_at_the_end_of_a_secret() {
    let known = listed(&[("a", "s/u", "s/p"), ("b", "s-2/u", "s/p")]);
    let first = known.page(None, None, 2, |_| true);
    let rest = known.page(None, Some(&first[1].place()), 9, |_| true);
    assert_eq!(names(&[first, rest].concat()), ["a s/p", "a s/u", "b s/p", "b s-2/u"]);
    assert_eq!(known.page(Some("s"), None, 9, |_| true).len(), 3);
    let after = known.page(Some("s"), None, 1, |_| true)[0].place();
    assert_eq!(names(&known.page(Some("s"), Some(&after), 9, |_| true)), ["a s/u", "b s/p"]);
    assert!(known.page(Some("none"), None, 9, |_| true).is_empty());
}

#[test]
fn a_kind_that_is_unread_or_failing_for_long_is_a_gap() {
    const LONG: Duration = Duration::from_secs(3_600);
    let mut known = Known::nothing_of([GROUP].into());
    assert_eq!(known.unlisted().map(|gap| gap.what).as_deref(), Some(GROUP));
    assert_eq!(known.gap(LONG), None, "the first look has only begun");
    assert!(known.group_failed(GROUP, EdgeError::Throttled(None)), "news");
    assert!(!known.group_failed(GROUP, EdgeError::Throttled(None)), "the same again");
    known.group_discovered(GROUP, &BTreeSet::new(), Duration::ZERO);
    assert_eq!(known.unlisted(), None);
    known.group_discovered(GROUP, &[kind()].into(), Duration::ZERO);
    let unlisted = known.unlisted().unwrap();
    assert_eq!((unlisted.to_string().contains("not listed yet"), unlisted.is_for_good()), (true, false));
    assert!(known.gap(Duration::ZERO).is_some() && known.gap(LONG).is_none());

    known.kind_failed(&kind(), EdgeError::Forbidden("no".into()));
    assert!(known.gap(LONG).unwrap().remedy().contains(GROUP));
    known.kind_listed(&kind(), HashMap::new());
    known.kind_failed(&kind(), EdgeError::Unreachable("away".into()));
    assert_eq!((known.unlisted(), known.gap(LONG)), (None, None), "what was known holds for a while");
    assert!(known.gap(Duration::ZERO).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_briefly_not_served_keeps_its_uses() {
    let mut known = listed(&[("a", "s/u", "s/p")]);
    let (nothing, patience) = (BTreeSet::new(), Duration::from_secs(5));
    for _ in 0..2 {
        assert!(known.group_discovered(GROUP, &nothing, patience).is_empty());
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(known.group_discovered(GROUP, &nothing, patience).is_empty());
        known.group_discovered(GROUP, &[kind()].into(), patience);
        assert_eq!(known.of("s").len(), 2);
        tokio::time::advance(Duration::from_secs(4)).await;
    }
    assert!(known.group_discovered(GROUP, &nothing, patience).is_empty());
    tokio::time::advance(patience).await;
    assert_eq!(known.group_discovered(GROUP, &nothing, patience), [kind()].into());
    assert!(known.of("s").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_used_something_before_the_start_is_a_gap_until_it_is_served_or_missing_for_a_while() {
    let patience = Duration::from_secs(5);
    for comes in [false, true] {
        let mut known = Known::nothing_of([GROUP].into());
        known.expect([PROFILE.to_owned()].into());
        for _ in 0..2 {
            known.group_discovered(GROUP, &BTreeSet::new(), patience);
            known.all_groups_discovered(patience);
            assert_eq!(known.unlisted().map(|gap| gap.what).as_deref(), Some(PROFILE));
            tokio::time::advance(Duration::from_secs(4)).await;
        }
        if comes {
            known.group_discovered(GROUP, &[kind()].into(), patience);
            known.kind_listed(&kind(), HashMap::new());
        }
        known.all_groups_discovered(patience);
        assert_eq!((known.unlisted(), known.is_expecting()), (None, false), "{comes}");
    }
}

/// An API server that has just started serves them a moment later. Until then no other class is the default one: all
/// pairs would be written with its identity.
#[tokio::test(start_paused = true)]
async fn instances_that_are_not_served_yet_do_not_count_as_none() {
    let (instance, patience) = (ClassRef::group_kind(), Duration::from_secs(5));
    let grace = Duration::from_secs(30);
    for comes in [false, true] {
        let mut known = Known::nothing_of([instance.group.as_str()].into());
        for _ in 0..2 {
            known.group_discovered(&instance.group, &BTreeSet::new(), patience);
            assert_eq!((known.class_refs(grace), known.is_expecting()), (ClassRefs::Pending, true));
            tokio::time::advance(Duration::from_secs(4)).await;
        }
        let served = if comes { [instance.clone()].into() } else { BTreeSet::new() };
        known.group_discovered(&instance.group, &served, patience);
        assert!(!known.is_expecting(), "{comes}");
        known.kind_listed(&instance, HashMap::new());
        assert_eq!(known.class_refs(grace), ClassRefs::Listed(Vec::new()), "{comes}");
    }
}

#[test]
fn the_default_class_is_unknown_until_the_instances_are_listed_or_can_not_be() {
    let instance = ClassRef::group_kind();
    let named = |class: &str| {
        let (field, class) = ("spec.defaultSecretProviderClassRef.name".to_owned(), class.to_owned());
        let class = ClassRef { resource: "aio".to_owned(), field, class };
        Named { classes: vec![class], ..Named::default() }
    };
    let names = |known: &Known| match known.class_refs(Duration::from_secs(9)) {
        ClassRefs::Listed(all) => all.into_iter().map(|one| one.class).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let mut known = Known::nothing_of([instance.group.as_str()].into());
    assert_eq!(known.class_refs(Duration::ZERO), ClassRefs::Pending);
    known.group_failed(&instance.group, EdgeError::Timeout(Duration::ZERO));
    assert_eq!(known.class_refs(Duration::from_secs(9)), ClassRefs::Pending);
    assert!(matches!(known.class_refs(Duration::ZERO), ClassRefs::Unlisted(_)), "not for ever");
    known.group_failed(&instance.group, EdgeError::Forbidden("no".into()));
    assert!(matches!(known.class_refs(Duration::from_secs(9)), ClassRefs::Unlisted(_)));

    known.group_discovered(&instance.group, &[instance.clone()].into(), Duration::ZERO);
    assert_eq!(known.class_refs(Duration::from_secs(9)), ClassRefs::Pending, "the kind is not listed");
    known.kind_listed(&instance, [("aio".to_owned(), named("a"))].into());
    assert_eq!(names(&known), ["a"]);
    known.kind_failed(&instance, EdgeError::Forbidden("no".into()));
    assert_eq!(names(&known), ["a"], "what was listed counts");
    known.resource_changed(&instance, "aio", named("b"));
    assert_eq!(names(&known), ["b"]);
    known.kind_listed(&instance, HashMap::new());
    assert_eq!(names(&known), [""; 0]);

    let none = Known::nothing_of(BTreeSet::new());
    assert_eq!(names(&none), [""; 0], "nothing is looked at");
}
