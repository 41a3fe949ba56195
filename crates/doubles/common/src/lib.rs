//! What the doubles share: fault rules, stored state, TLS, and a proxy that routes Azure's own names to them.

mod credential;
pub mod disk;
pub mod faults;
pub mod proxy;
pub mod tls;

pub use credential::Credential;
