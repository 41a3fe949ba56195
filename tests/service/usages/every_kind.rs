//! Every kind that can name a secret, and programs that use secrets under fixed names.

use super::*;
use crate::support::every_use;

#[tokio::test]
async fn each_use_in_an_example_of_every_kind_is_listed_and_prevents_a_deletion() {
    let mut world = made(&[]).await;
    every_use::is_seen_and_prevents_a_deletion(&mut world).await;
}

#[tokio::test]
async fn a_secret_of_a_fixed_name_is_always_used_and_only_force_deletes_it() {
    let own = ["Scada line-4 FIXED scada-login".to_owned()];
    let site = Site::start().await;
    users::install(&site.kube).await;
    let mut world = made_on(site, &[], with_rules(&own)).await;
    assert_eq!(usages(&mut world, "-").await, [], "nobody lacks what nobody made");
    for (id, user) in [
        ("aio-opc-ua-broker-trust-list", "OpcUaConnector aio-opc-ua-broker"),
        ("scada-login", "Scada line-4"),
    ] {
        let created = create(id, vec![existing("ca.crt", "v"), existing("more.crt", "v")]);
        let created = world.client.create_synced_secret(created).await.unwrap().into_inner();
        assert!(is_in_use(&created, "Used"), "{created:?}");
        assert!(in_use(&created).unwrap().message.contains(user), "{created:?}");
        let shown = usages(&mut world, id).await;
        let place = |usage: &SecretUsage| format!("{} {} {}", usage.kind, usage.resource, usage.field);
        assert_eq!(shown.iter().map(place).collect::<Vec<_>>(), [format!("{user} fixed name")]);

        let refused = told(&world.client.delete_synced_secret(delete(id)).await.unwrap_err());
        assert_eq!(refused.reason, "SYNCED_SECRET_IN_USE");
        assert!(refused.message.contains(user), "{}", refused.message);
        // Entries of a list come and go.
        let mut fewer = world.get(id).await;
        fewer.references.truncate(1);
        world.client.update_synced_secret(update(fewer, &["references"])).await.unwrap();
    }
    // A restart expects no kind of that name.
    world.restart().await;
    let begun = Instant::now();
    assert_eq!(usages(&mut world, "-").await.len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for id in ["aio-opc-ua-broker-trust-list", "scada-login"] {
        let forced = secret_service::proto::DeleteSyncedSecretRequest { force: true, ..delete(id) };
        world.client.delete_synced_secret(forced).await.unwrap();
        let begun = Instant::now();
        while world.edge(id).await.is_some() {
            assert!(begun.elapsed() < PATIENCE, "{id} stays");
            sleep(Duration::from_millis(10)).await;
        }
    }
    until_usages(&mut world, "-", <[_]>::is_empty).await;
}
