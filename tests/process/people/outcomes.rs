//! What a command says of what came of it: no success where the edge does not hold it yet, nothing left out or lost in silence.

use std::time::Duration;

use serde_json::Value;

use super::{json, pipe, say};
use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_keeps_its_content_type_and_tags_and_no_time_is_given_up_in_silence() {
    let world = World::start().await;
    let held = async || {
        let list = json(&world, &["vault", "list", "--contains", "v", "-o", "json"]).await;
        list["vaultSecrets"][0].clone()
    };
    let rotate = async |more: &[&str]| {
        // The vault counts seconds: of two versions in one, nobody can say which is the latest.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let rotate = ["vault", "rotate", "v", "--value-file", "-"];
        pipe(&world, "new", &[rotate.as_slice(), more].concat()).await
    };
    let tags = |held: &Value| {
        let mut tags: Vec<_> = held["tags"].as_object().unwrap().keys().cloned().collect();
        tags.retain(|key| key != "secret-service");
        tags
    };
    let create = ["vault", "create", "v", "--value-file", "-", "--content-type", "text/plain"];
    let more = ["--expires", "2031-01-02T03:04:05Z", "--not-before", "2026-01-01T00:00:00Z"];
    let tagged = ["--tag", "line=4", "--tag", "draft=yes"];
    pipe(&world, "old", &[create.as_slice(), &more, &tagged].concat()).await.ok();

    // What is kept, and what is told of what is not.
    let told = rotate(&[]).await;
    for words in ["expires at 2031-01-02T03:04:05Z", "2026-01-01T00:00:00Z", "--keep-dates", "--expires"] {
        assert!(told.err.contains(words), "{words}: {told:?}");
    }
    told.ok();
    assert_eq!(world.somebody.reads("v").await, "new");
    let now = held().await;
    assert_eq!(
        (now["contentType"].as_str(), tags(&now)),
        (Some("text/plain"), vec!["draft".into(), "line".into()])
    );
    assert_eq!(now.get("expireTime"), None, "{now}");

    // Flags change what is kept; what is set or kept is not told.
    let changed =
        rotate(&["--expires", "2032-01-01T00:00:00Z", "--tag", "line=5", "--remove-tag", "draft"]).await;
    assert_eq!(changed.err, "");
    changed.ok();
    let kept = rotate(&["--keep-dates", "--content-type", ""]).await;
    assert_eq!(kept.err, "");
    kept.ok();
    let now = held().await;
    assert_eq!((now["expireTime"].as_str(), tags(&now)), (Some("2032-01-01T00:00:00Z"), vec!["line".into()]));
    assert_eq!((now["tags"]["line"].as_str(), now.get("contentType")), (Some("5"), None));
    let wrong = rotate(&["--remove-tag", "draft"]).await.failed(2);
    assert!(wrong.contains("no such tag"), "{wrong}");

    // A time that is over is not kept: nothing could be synced.
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    world.somebody.expires("v", past).await;
    let over = rotate(&["--keep-dates"]).await.failed(2);
    assert!(over.contains("has expired") && over.contains("--expires"), "{over}");
    rotate(&["--keep-nothing"]).await.ok();
    let now = held().await;
    assert_eq!((tags(&now), now.get("expireTime")), (vec![], None));
    rotate(&["--remove-tag", "a", "--keep-nothing"]).await.failed(2);
    let missing = say(&world, &["vault", "rotate", "nowhere", "--value-file", "-"]).await;
    missing.failed(3);
}
