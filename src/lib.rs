//! The Secret Service: manages the secrets of one Azure IoT Operations instance at the edge.
//!
//! The map of the house. Dependencies point down: [`cli`] → [`api`] → {[`access`], [`secrets`]} → {[`store`], [`vault`],
//! [`edge`], [`reconcile`]} → [`model`].
//!
//! - [`cli`]: the commands (`dev`, `serve`, `check` …), one file each, and [`cli::service`], which wires all rooms into one
//!   service, starts it, and ends it without losing what is under way. A new command or a new part of the service goes here.
//! - [`config`]: the configuration of `serve`. One description of every field makes the types, the flags, the variables, the
//!   help and the printed file; every mistake is one line. A new setting goes here, and into `cli::settings`.
//! - [`api`]: gRPC. From the wire to the model and back, errors with their details, listeners, TLS, limits. Knows no other
//!   rooms than `access` and `secrets`.
//! - [`access`]: who calls, and what they may do: certificates, tokens of the cluster and of an
//!   OpenID Connect issuer, the cluster's decisions and the configured rules.
//! - [`secrets`]: the use cases, the one place that says what each call means: what is checked, recorded, written to the
//!   vault and waited for.
//! - [`store`]: what is recorded, in SQLite: intent, what was observed, request ids, the change feed, the audit. All SQL.
//! - [`vault`]: the Key Vault through the Azure SDK: credentials, deadlines, pace, and what its errors mean.
//! - [`edge`]: the Kubernetes Secrets of the instance's namespace: written in one apply, never what isn't ours, and watched
//!   without their values; the resources there that use them; and the leader election of its processes.
//! - [`reconcile`]: brings the edge to what is recorded, again and again: plan, queue, workers, rotation, and what uses what.
//! - [`model`]: what the service talks about, without any I/O. A value that exists is valid. A crate of its own, `crates/model`.
//! - [`backoff`]: how long to wait before a retry.
//! - [`explain`]: how errors say what happened and what to do next.
//! - [`fence`]: lets writes to the vault and the edge through only while this process is the leader.
//! - [`files`]: what is made from files that others renew, without waiting for a disk.
//! - [`peer_clock`]: what time the vault and the API server say it is.
//! - [`quote`]: what other programs and libraries say, as it may be repeated to people. Every room's errors use it.
//! - [`telemetry`]: logs, and what may never speak in them.
//! - [`proto`]: the contract, as generated.
//!
//! `dev` and the tests run on doubles of a Key Vault, of a Kubernetes API and of the Secret Store extension: crates of their own in
//! `crates/doubles`, which know nothing of this service.

pub mod access;
pub mod api;
pub mod backoff;
pub mod cli;
pub mod config;
pub mod edge;
pub mod explain;
pub mod fence;
pub mod files;
pub mod peer_clock;
pub mod quote;
pub mod reconcile;
pub mod secrets;
pub mod store;
pub mod telemetry;
pub mod vault;

pub use secret_service_model as model;

/// What the fuzz targets in `fuzz/` call, and the test that replays what they have found.
#[cfg(any(fuzzing, test))]
pub mod fuzzing;

/// The contract, generated from `proto/` at build time.
pub mod proto {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("iotoperations.secrets.v1");

    /// The contract as a `FileDescriptorSet`, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));

    /// Written by hand, because a generated one would print the value.
    impl std::fmt::Debug for NewVaultSecret {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("NewVaultSecret").finish_non_exhaustive()
        }
    }

    /// Written by hand, because a manifest may hold a value.
    impl std::fmt::Debug for CheckResourceRequest {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("CheckResourceRequest").finish_non_exhaustive()
        }
    }
}
