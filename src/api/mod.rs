//! gRPC: the contract of `proto/` over the use cases in [`secrets`](crate::secrets), and the server that it
//! runs on.
//!
//! - `server` accepts connections and passes each request through its layers: browser guard, call layer, RPC. The guard also
//!   serves the console.
//! - `rpc` carries out the RPCs: one file holds what an RPC requires, how its request is read, and what it
//!   answers.
//! - `connection` listens, terminates TLS, tracks connections, and enforces limits.
//! - `error` turns every error into a gRPC status.
//!
//! Each wing depends only on those below it in this list.

mod connection;
mod error;
mod options;
mod rpc;
mod server;

pub use connection::tls::{Expiry, ExpiryKind, ExpiryStatus, tls_expiries};
pub use error::{DOMAIN, catalogue::DocumentedError, code_name};
pub use options::{
    ConsoleOptions, Limits, Listen, Options, PublicClient, Revocation, ServerError, Tls, TokenKind,
};
#[cfg(any(fuzzing, test))]
pub(crate) use rpc::fuzzing;
pub use server::Server;

/// Every error that a caller can get.
pub fn errors() -> Vec<DocumentedError> {
    let limits = connection::limit::Limit::OF_CALLS.map(connection::limit::Limit::documented);
    error::catalogue::errors().into_iter().chain(limits).collect()
}

#[cfg(test)]
mod tests;
