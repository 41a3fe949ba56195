//! What the doubles share: the faults that tests order, the state that they keep, the TLS that they serve, the way to them from Azure's own names.

mod credential;
pub mod disk;
pub mod faults;
pub mod proxy;
pub mod tls;

pub use credential::Credential;
