//! What a call shows of its caller in its headers: once each, and names that are somebody's.

use kubernetes_double::User;
use secret_service::proto::{ListSyncedSecretsRequest, secret_service_client::SecretServiceClient};
use tonic::{Code, Request};

use super::world;
use crate::support::{
    World,
    callers::{AUDIENCE, BOTH, LOOKING},
    requests::*,
};

/// Lists with these headers, in this order.
async fn list(world: &World, headers: &[(&'static str, &str)]) -> Result<(), Told> {
    let mut request = Request::new(ListSyncedSecretsRequest::default());
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    let answer = SecretServiceClient::new(world.channel().await).list_synced_secrets(request).await;
    answer.map(|_| ()).map_err(|status| told(&status))
}

#[tokio::test]
async fn a_repeated_single_value_header_is_refused() {
    let world = world(|_| {}).await;
    let token = world.token("viewer", AUDIENCE).await;
    let (good, bad) = (format!("Bearer {token}"), "Bearer made-up".to_owned());
    let shown = ("authorization", good.as_str());
    list(&world, &[shown, ("x-request-id", "a"), ("grpc-timeout", "9S")])
        .await
        .unwrap_or_else(|told| panic!("{}", told.message));
    for (first, second) in [(&good, &bad), (&bad, &good), (&good, &good)] {
        let refused = list(&world, &[("authorization", first), ("authorization", second)]).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"));
        assert!(refused.message.contains("more than one authorization"), "{}", refused.message);
    }
    for (name, values) in [("x-request-id", ["a", "b"]), ("grpc-timeout", ["9S", "1S"])] {
        let refused = list(&world, &[shown, (name, values[0]), (name, values[1])]).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::InvalidArgument, "HEADER_REPEATED"),
            "{name}"
        );
        assert!(refused.message.contains(name), "{}", refused.message);
    }
}

#[tokio::test]
async fn no_token_impersonates_the_service_or_an_unnamed_caller() {
    needs!(the_double);
    let world = world(|_| {}).await;
    for (place, name) in
        ["sync", "Others", "anonymous@127.0.0.1", "unix:uid=0", "a\u{1b}[2J"].into_iter().enumerate()
    {
        world.grant(name, &BOTH, &LOOKING, &[]).await;
        let user = User { username: name.to_owned(), uid: String::new(), groups: Vec::new() };
        let token = format!("token-{place}");
        world.cluster().policy().add_token_for(&token, user, &[AUDIENCE]);
        let refused = list(&world, &[("authorization", &format!("Bearer {token}"))]).await.expect_err(name);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Unauthenticated, "CREDENTIALS_REJECTED"),
            "{name:?}"
        );
    }
}
