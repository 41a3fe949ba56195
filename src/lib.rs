//! The Secret Service: manages the secrets of one Azure IoT Operations instance at the edge.
//!
//! Dependencies point down: `cli` → `api` → `secrets` → {`store`, `vault`, `edge`, `reconcile`} → `model`.

pub mod api;
pub mod doubles;
pub mod edge;
pub mod model;
pub mod reconcile;
pub mod secrets;
pub mod store;
pub mod vault;

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
}
