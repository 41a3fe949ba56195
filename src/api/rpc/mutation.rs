//! What requests that change something have in common: who calls, until when, under which request id, dry run
//! or not.

use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tonic::Request;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{auth, convert::Violations, deadline::deadline, request::RpcRequest};
use crate::secrets::{self, Call, MAX_WAIT, Mode, Secrets};

/// The deadline of a call that did not pass the call layer, which gives every call one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// A request that changes something, apart from the fields that say how it is carried out.
pub(super) struct Mutation<T> {
    pub(super) call: Call,
    pub(super) mode: Mode,
    /// The request without those fields.
    pub(super) message: T,
    /// What is wrong with those fields.
    pub(super) violations: Violations,
}

/// The fields of a request that say how it is carried out.
#[derive(Default)]
pub(super) struct MutationOptions {
    pub(super) request_id: String,
    pub(super) validate_only: bool,
    pub(super) wait: Option<prost_types::Duration>,
}

/// A request that changes something.
pub(super) trait MutationRequest: RpcRequest {
    /// Takes the options out of the request, so that the rest can be compared with the request that a request
    /// id stands for.
    fn take_options(&mut self) -> MutationOptions;
}

/// Implements [`MutationRequest`] for a request with these options.
macro_rules! mutation_request {
    ($request:ident, [$($field:ident),+]) => {
        impl $crate::api::rpc::mutation::MutationRequest for $request {
            fn take_options(&mut self) -> $crate::api::rpc::mutation::MutationOptions {
                let mut options = $crate::api::rpc::mutation::MutationOptions::default();
                $(options.$field = std::mem::take(&mut self.$field);)+
                options
            }
        }
    };
}

pub(super) use mutation_request;

// === impl Mutation ===

impl<T: MutationRequest> Mutation<T> {
    /// Reads the caller and the options of the request.
    pub(super) fn of(secrets: &Secrets, request: Request<T>) -> Self {
        let deadline = deadline(&request).unwrap_or_else(|| Instant::now() + DEFAULT_DEADLINE);
        let actor = auth::caller(request.extensions()).to_string();
        let mut message = request.into_inner();
        let MutationOptions { request_id, validate_only, wait } = message.take_options();

        let mut violations = Violations::default();
        let wait = violations.take("wait", read_wait(wait)).unwrap_or_default();
        let id = violations.take("request_id", read_request_id(&request_id)).flatten();
        // A dry run changes nothing, so its id is not recorded.
        let request = id.filter(|_| !validate_only).map(|id| {
            let fingerprint = fingerprint(secrets, &message);
            secrets::Request { caller: actor.clone(), id, method: T::METHOD, fingerprint }
        });
        let call = Call { actor, begun: Instant::now(), deadline, request };
        Self { call, mode: Mode { validate_only, wait }, message, violations }
    }
}

/// A keyed digest of the whole request, values included. The encoding is deterministic: maps are ordered.
fn fingerprint(secrets: &Secrets, message: &impl Message) -> [u8; 32] {
    let encoded = Zeroizing::new(message.encode_to_vec());
    secrets.signer().sign("request-fingerprint", &encoded)
}

/// A longer wait than [`MAX_WAIT`] ends after that; the answer then shows the state that was reached.
fn read_wait(wait: Option<prost_types::Duration>) -> Result<Duration, &'static str> {
    const RULE: &str = "must be a duration from 0 to 60 seconds";
    let Some(wait) = wait else { return Ok(Duration::ZERO) };
    // The conversion overflows at the negative end.
    if wait.seconds < 0 {
        return Err(RULE);
    }
    let wait = Duration::try_from(wait).map_err(|_| RULE)?;
    Ok(wait.min(MAX_WAIT))
}

fn read_request_id(text: &str) -> Result<Option<Uuid>, &'static str> {
    const RULE: &str = "must be a UUID such as 0191a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b, and not all zeros";
    if text.is_empty() {
        return Ok(None);
    }
    // The parser also accepts other forms of a UUID, which another release may not.
    let id = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
    id.filter(|id| !id.is_nil()).map(Some).ok_or(RULE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::tests::house, proto};

    fn create(value: &str, request_id: &str, seconds: i64) -> Request<proto::CreateSyncedSecretRequest> {
        let create = proto::NewVaultSecret { value: value.into(), ..Default::default() };
        let reference = proto::SecretReference { create: Some(create), ..Default::default() };
        Request::new(proto::CreateSyncedSecretRequest {
            synced_secret_id: "edp1secrets".into(),
            synced_secret: Some(proto::SyncedSecret { references: vec![reference], ..Default::default() }),
            request_id: request_id.into(),
            wait: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        })
    }

    #[tokio::test]
    async fn the_fingerprint_depends_on_the_values_and_not_on_the_wait() {
        let house = house().await;
        let id = "0191a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
        let of = |value, id, wait| {
            Mutation::of(&house.secrets, create(value, id, wait)).call.request.unwrap().fingerprint
        };
        let shouted = id.to_uppercase();
        assert_eq!(of("a", id, 0), of("a", &shouted, 30));
        assert_ne!(of("a", id, 0), of("b", id, 0));
    }

    #[tokio::test]
    async fn a_validate_only_request_is_not_recorded() {
        let house = house().await;
        let mut request = create("a", "0191a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b", 0);
        request.get_mut().validate_only = true;
        assert!(Mutation::of(&house.secrets, request).call.request.is_none());
    }

    #[tokio::test]
    async fn a_request_id_must_be_a_uuid_and_a_wait_is_nonnegative_and_capped_at_60_s() {
        let house = house().await;
        for bad in
            ["1", "{0191a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b}", "00000000-0000-0000-0000-000000000000", "ä"]
        {
            let mutation = Mutation::of(&house.secrets, create("a", bad, -1));
            let problems = mutation.violations.into_problems();
            let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
            assert_eq!(fields, ["wait", "request_id"], "{bad}");
        }
        assert_eq!(Mutation::of(&house.secrets, create("a", "", 3600)).mode.wait, MAX_WAIT);
    }
}
