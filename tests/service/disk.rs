//! A disk that was full takes writes again, also beside a real control plane, and what was recorded before is synced meanwhile.

use secret_service::proto::synced_secret::State;

use crate::support::{World, disk::Disk, requests::*, until, until_so};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_acknowledged_change_and_accepts_writes_again() {
    let mut world = World::start().await;
    let Some(disk) = Disk::mount(&world, "a_disk_that_was_full_loses_nothing…") else { return };
    world.seed("v", "value").await;
    world.stop_service().await;
    let mut service = world.beside(&disk.database()).await;
    let client = &mut service.client;
    client.create_synced_secret(create("first", vec![existing("k", "v")])).await.unwrap();
    disk.fill();
    let mut written = 0;
    let refusal = loop {
        assert!(written < 1_000, "the disk takes everything");
        match client.create_synced_secret(create(&format!("a-{written}"), vec![existing("k", "v")])).await {
            Ok(_) => written += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(told(&refusal).reason, "DATABASE_FULL", "{refusal:?}");
    assert_eq!(
        world.edge(&format!("a-{written}")).await,
        None,
        "nothing is at the edge that is not recorded"
    );

    disk.free();
    let create_again = async || {
        let request = create("again", vec![existing("k", "v")]);
        client.clone().create_synced_secret(request).await.is_ok()
    };
    until_so("it takes writes again", create_again).await;
    for id in ["first".to_owned(), "again".to_owned()]
        .into_iter()
        .chain((0..written).map(|number| format!("a-{number}")))
    {
        until(client, &id, |secret| secret.state() == State::Synced).await;
        assert_eq!(world.edge(&id).await.unwrap()["k"], "value", "{id}");
    }
    service.stop().await;
}
