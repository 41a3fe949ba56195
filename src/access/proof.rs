//! How a caller proved who they are.

use jiff::Timestamp;

/// How a caller proved who they are, and until when that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// How.
    pub kind: ProofKind,
    /// When the credentials expire, as far as they say.
    pub expire_time: Option<Timestamp>,
}

/// The kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// None: the caller is on this machine, where the configuration asks for none.
    None,
    /// A token that the cluster accepted.
    ClusterToken,
    /// A token of the OpenID Connect issuer.
    IssuerToken,
    /// A client certificate.
    Certificate,
}

// === impl Proof ===

impl Proof {
    /// Of a caller without credentials.
    pub const NONE: Self = Self { kind: ProofKind::None, expire_time: None };
}
