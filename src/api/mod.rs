//! gRPC: the contract of `proto/` over the use cases in [`secrets`](crate::secrets), and the server that it runs on.
//!
//! A call comes in through `front` (who may speak to us from a browser) and `gate` (id, limits, deadline, access log, who calls)
//! to its method in `service`; `auth` lets it in, `call` reads who calls and how, `convert` what is asked for, and `error` says what went wrong.

mod auth;
mod budget;
mod call;
mod convert;
mod crowd;
mod descriptors;
mod error;
mod front;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod gate;
mod health;
mod limit;
mod line;
mod lines;
mod listen;
mod methods;
mod metrics;
mod open;
mod options;
mod pages;
mod peer;
mod receive;
mod reference;
mod server;
mod service;
mod tls;
mod token;
mod verdict;
mod watch;

pub use error::{DOMAIN, code_name};
pub use options::{Limits, Listen, Options, Revocation, ServerError, Tls};
pub use reference::{DocumentedError, errors};
pub use server::Server;
pub use tls::{Dated, DatedKind, Standing, dates_of};

#[cfg(test)]
mod tests;
