//! Fault injection, in the same form for all doubles: a rule ([`FaultRule`]) says which requests ([`RequestMatch`])
//! get which fault ([`Fault`]), how many times, and in which [`Phase`].
//!
//! The README describes the rules as JSON and the endpoints that serve them ([`endpoints`]). Of several rules that
//! match, the one added first applies.

mod apply;
mod endpoints;
mod fault;
mod rule;
mod rules;

pub use apply::{ConnectionReset, with_body};
pub use endpoints::endpoints;
pub use fault::{AnyFault, Fault};
pub use rule::{FaultRule, Phase, RequestMatch};
pub use rules::{FaultRules, SetRule};
