//! No request makes a conversion panic.

use proptest::prelude::*;

use super::*;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[a-z]{1,8}",
        "(syncedSecrets|vaultSecrets)/[a-zA-Z0-9._-]{0,12}",
        Just("\0".to_owned())
    ]
}

fn any_reference() -> impl Strategy<Value = SecretReference> {
    let time = proptest::option::of((any::<i64>(), any::<i32>()));
    let create = proptest::option::of((any_text(), any_text(), time.clone(), time));
    (any_text(), any_text(), any_text(), any::<i32>(), create).prop_map(
        |(key, name, version, encoding, create)| {
            let stamp = |(seconds, nanos)| prost_types::Timestamp { seconds, nanos };
            let create = create.map(|(value, content_type, from, to)| NewVaultSecret {
                tags: BTreeMap::from([(content_type.clone(), value.clone())]),
                value,
                content_type,
                not_before_time: from.map(stamp),
                expire_time: to.map(stamp),
                data: key.clone().into_bytes(),
                encoding,
            });
            SecretReference { key, vault_secret: name, version, encoding, create, ..Default::default() }
        },
    )
}

proptest! {
    #[test]
    fn no_request_makes_a_conversion_panic_and_every_refusal_has_a_reason(
        id in any_text(),
        name in any_text(),
        text in any_text(),
        references in proptest::collection::vec(any_reference(), 0..4),
        paths in proptest::collection::vec(any_text(), 0..3),
        numbers in (any::<i32>(), any::<i32>()),
    ) {
        let labels = BTreeMap::from([(text.clone(), name.clone())]);
        let wire = SyncedSecret { name: name.clone(), description: text.clone(), secret_type: text.clone(), references, labels, ..Default::default() };
        let answers = |result: Result<(), Error>| match result {
            Ok(()) => true,
            Err(error) => {
                let status = crate::api::error::status(&error, "");
                status.message().ends_with('.') && !status.details().is_empty()
            }
        };
        prop_assert!(answers(create(&id, wire.clone()).map(|_| ())));
        let update_mask = Some(prost_types::FieldMask { paths });
        let request = proto::UpdateSyncedSecretRequest { synced_secret: Some(wire), update_mask, ..Default::default() };
        prop_assert!(answers(changes(request, Violations::default()).map(|_| ())));
        let filtered = proto::SyncedSecretFilter { states: vec![numbers.0], origin: numbers.1, vault_secret: name.clone(), ..Default::default() };
        prop_assert!(answers(filter(filtered).map(|_| ())));
        prop_assert!(answers(page_size(numbers.0).map(|_| ())));
        let since_time = Some(prost_types::Timestamp { seconds: i64::from(numbers.0) << 32, nanos: numbers.1 });
        let asked = proto::GetCallerRequest { name: text.clone(), resource: name.clone() };
        prop_assert!(answers(get_caller::about(&asked).map(|_| ())));
        let history = proto::ListAuditEventsRequest { resource: name, since_time, until_time: since_time, actor: text, ..Default::default() };
        let listed = answers(list_audit_events::filter(&history).map(|_| ()));
        prop_assert!(listed);
    }
}
