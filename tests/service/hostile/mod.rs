//! Whatever is sent to whichever method is answered as the documents say, at once, and harms nobody: messages made from the
//! contract's own descriptors, the same with bytes changed, and frames that are none.

mod messages;
mod wire;

use std::{collections::BTreeMap, sync::LazyLock};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestCaseError, TestRunner},
};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use secret_service::{api, proto::FILE_DESCRIPTOR_SET};
use tokio::runtime::Runtime;
use tonic::Code;
use tonic_types::StatusExt;

use self::{
    messages::{CANARY, KNOWN, message},
    wire::{Answer, Client, GRPC, call, frame},
};
use crate::support::{World, requests::*};

/// What each reason of the documents comes with: its code, and whether it says when to call again.
static DOCUMENTED: LazyLock<BTreeMap<(i32, &str), bool>> = LazyLock::new(|| {
    api::errors().into_iter().map(|error| ((error.code as i32, error.reason), error.is_retried)).collect()
});
/// Vault and cluster are there all the time: no answer may blame them, time, or us.
const NEVER: [Code; 6] = [
    Code::Internal,
    Code::Unknown,
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::DataLoss,
    Code::Cancelled,
];

fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let service = pool.get_service_by_name("iotoperations.secrets.v1.SecretService").unwrap();
    service.methods().collect()
}

/// A world that holds what the messages name, and a connection to it.
struct Victim {
    runtime: Runtime,
    world: World,
    client: Client,
}

// === impl Victim ===

impl Victim {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let world = runtime.block_on(async {
            let mut world = World::start().await;
            for known in KNOWN {
                world.seed(known, "a value").await;
            }
            world.create("pump", vec![existing("username", "username")]).await;
            world
        });
        Self { runtime, world, client: wire::client() }
    }

    fn call(&self, method: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let uri = format!("http://{}/iotoperations.secrets.v1.SecretService/{method}", self.world.address());
        self.runtime.block_on(call(&self.client, &uri, headers, body))
    }

    /// Holds a rule to any input; the smallest that breaks it is printed. `PROPTEST_CASES` tries more of them.
    fn holds<S: Strategy>(&self, any: S, rule: impl Fn(S::Value) -> Result<(), TestCaseError>) {
        let config = Config::default();
        // Each is a call, or several.
        let cases = config.cases / 4;
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..config };
        TestRunner::new(config).run(&any, rule).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// What was recorded meanwhile is no burden: the service starts on it again, and serves.
    fn stays_well(mut self) {
        self.runtime.block_on(async {
            let good = create("good", vec![created("k", "good", "v")]);
            let (made, world) =
                (self.world.client.create_synced_secret(good).await.unwrap(), &mut self.world);
            assert_eq!(synced_reason(&made.into_inner()), "Synced");
            world.restart().await;
            assert_eq!(synced_reason(&world.get("good").await), "Synced");
        });
    }
}

/// That an answer is one that the documents know, and shows no value.
fn documented(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(!answer.shows(CANARY), "a value came back");
    let Some(status) = &answer.status else { return Ok(()) };
    if status.code() == Code::Ok {
        return Ok(());
    }
    prop_assert!(!NEVER.contains(&status.code()), "{status:?}");
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let is_retried = DOCUMENTED.get(&(status.code() as i32, reason.as_str()));
    prop_assert_eq!(is_retried, Some(&details.retry_info().is_some()), "{:?} {}", status.code(), reason);
    prop_assert!(status.message().len() < 16 * 1024, "{}", status.message());
    Ok(())
}

#[test]
fn any_message_of_any_method_gets_a_documented_response() {
    let victim = Victim::new();
    for method in methods() {
        victim.holds(message(&method.input()), |message| {
            let answer = victim.call(method.name(), &GRPC, frame(&message.encoded()));
            documented(&answer)?;
            let reason = answer.status.map(|status| told(&status).reason).unwrap_or_default();
            prop_assert_ne!(reason, "MALFORMED_MESSAGE", "it is what the contract says");
            Ok(())
        });
    }
    victim.stays_well();
}

/// Changes a few bytes: what is set, what is put in, what is taken out, where it ends.
fn changed(mut bytes: Vec<u8>, changes: &[(Index, u8, u8)]) -> Vec<u8> {
    for (place, kind, byte) in changes {
        let place = place.index(bytes.len() + 1);
        match kind {
            0 => bytes.insert(place, *byte),
            1 if place < bytes.len() => bytes[place] = *byte,
            2 if place < bytes.len() => drop(bytes.remove(place)),
            3 => bytes.truncate(place),
            _ => bytes.extend_from_within(place..),
        }
    }
    bytes
}

fn any_changes() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    vec((any::<Index>(), 0..6_u8, any::<u8>()), 1..8)
}

#[test]
fn a_message_with_any_bytes_changed_gets_a_documented_response() {
    let victim = Victim::new();
    for method in methods() {
        victim.holds((message(&method.input()), any_changes()), |(message, changes)| {
            let bytes = changed(message.encoded(), &changes);
            documented(&victim.call(method.name(), &GRPC, frame(&bytes)))
        });
    }
    victim.stays_well();
}

/// Headers that somebody might send who does not mean well.
fn any_headers() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let content_type = select(vec![
        "application/grpc",
        "application/grpc+proto",
        "application/grpc+json",
        "application/grpc-web",
        "application/grpc-web-text",
        "application/json",
        "",
    ]);
    let others = prop_oneof![
        (Just("grpc-timeout"), "([0-9]{0,9}[HMSmun]|.{0,8})"),
        (Just("grpc-encoding"), "(gzip|identity|zstd|br|.{0,8})"),
        (Just("grpc-accept-encoding"), "(gzip|identity|,,,|.{0,8})"),
        (Just("x-request-id"), ".{0,200}"),
        (Just("authorization"), "(Bearer|Basic|) ?[a-zA-Z0-9._-]{0,40}"),
        (Just("grpc-status-details-bin"), "[a-zA-Z0-9+/=]{0,40}"),
        (Just("origin"), "(null|http://evil\\.example|.{0,20})"),
    ];
    (content_type, vec(others, 0..4)).prop_map(|(content_type, mut headers)| {
        headers.push(("content-type", content_type.to_owned()));
        headers
    })
}

#[test]
fn invalid_frames_with_any_headers_are_refused_and_nothing_hangs() {
    let victim = Victim::new();
    let names: Vec<String> = methods().iter().map(|method| method.name().to_owned()).collect();
    let method = prop_oneof![9 => select(names), 1 => "[a-zA-Z/._%-]{0,20}"];
    let framed = vec(vec(any::<u8>(), 0..40), 0..3)
        .prop_map(|messages| messages.iter().flat_map(|message| frame(message)).collect::<Vec<u8>>());
    let body = (framed, any_changes()).prop_map(|(framed, changes)| changed(framed, &changes));
    let body = prop_oneof![body, vec(any::<u8>(), 0..200), Just(frame(b""))];
    victim.holds((method, any_headers(), body), |(method, headers, body)| {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = victim.call(&method, &headers, body);
        prop_assert!(!answer.http.is_server_error(), "{answer:?}");
        // What has no time is told so; a time that is none is no reason to blame anybody else.
        match wire::code(&answer) {
            Code::DeadlineExceeded | Code::Cancelled => Ok(()),
            _ => documented(&answer),
        }
    });
    victim.stays_well();
}
