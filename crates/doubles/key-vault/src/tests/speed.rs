//! Ten thousand secrets. Prints its measurements, and asserts only limits that even a slow machine keeps.

use std::time::Instant;

use serde_json::Value;

use super::World;
use crate::Seed;

#[tokio::test]
async fn ten_thousand_secrets_are_seeded_listed_and_found_again_after_a_restart() {
    let world = World::start().await;
    let seeds = (0..10_000).map(|number| Seed {
        name: format!("secret-{number:05}"),
        value: format!("value-{number}").into(),
        content_type: None,
        tags: [].into(),
        managed: false,
    });
    let started = Instant::now();
    world.double.seed_all(seeds.collect()).await.unwrap();
    println!("seeded 10,000 in {:?}", started.elapsed());

    let started = Instant::now();
    let world = world.restart().await;
    println!("restarted on 10,000 in {:?}", started.elapsed());

    let started = Instant::now();
    let (mut pages, mut items) = (0, 0);
    let mut page = world.get("secrets").await;
    loop {
        pages += 1;
        items += page.body["value"].as_array().unwrap().len();
        let Value::String(next) = &page.body["nextLink"] else { break };
        page = super::Answer::of(world.http.get(next).bearer_auth(&world.token).send().await.unwrap()).await;
    }
    assert_eq!((pages, items), (400, 10_000));
    println!("listed 400 pages, {:?} each", started.elapsed() / 400);

    let started = Instant::now();
    for number in 0..1_000 {
        assert_eq!(world.get(&format!("secrets/secret-{number:05}")).await.status, 200);
    }
    println!("got 1,000, {:?} each", started.elapsed() / 1_000);

    let started = Instant::now();
    for number in 0..100 {
        assert_eq!(world.set(&format!("secret-{number:05}"), "new").await.status, 200);
    }
    println!("set 100, {:?} each", started.elapsed() / 100);
}
