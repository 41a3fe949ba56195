//! gRPC: the contract of `proto/` over the use cases in [`secrets`](crate::secrets), and the server that it runs on.
//!
//! - `server` accepts connections and passes each request through its layers: browser guard, call layer, RPC.
//! - `rpc` carries out the RPCs: one file says what one RPC needs, how its request is read, and what it answers.
//! - `connection` listens, terminates TLS, tracks connections, and enforces the limits.
//! - `error` makes a gRPC status of every error.
//!
//! A wing depends only on those below it, in this order.

mod connection;
mod error;
mod options;
mod rpc;
mod server;

pub use connection::tls::{Expiry, ExpiryKind, ExpiryStatus, tls_expiries};
pub use error::{
    DOMAIN,
    catalogue::{DocumentedError, errors},
    code_name,
};
pub use options::{Limits, Listen, Options, Revocation, ServerError, Tls};
#[cfg(any(fuzzing, test))]
pub(crate) use rpc::fuzzing;
pub use server::Server;

#[cfg(test)]
mod tests;
