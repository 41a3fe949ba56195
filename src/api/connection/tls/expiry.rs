//! When the files of TLS end: told in the log at start and whenever it changes, by `secret-service check`, and by metrics. Nothing
//! else tells: an expired authority goes on vouching, and a revocation list that nobody renews goes on revoking what it did.

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::{
    prelude::{FromDer, X509Certificate},
    revocation_list::CertificateRevocationList,
    time::ASN1Time,
    x509::X509Name,
};

use crate::quote::Quote;

/// A certificate that ends within this time ends soon.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Something of the files of TLS that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// Whom it names: the subject of a certificate, the issuer of a list.
    pub name: Quote,
    /// When it ends; a list that does not say when the next one comes never does.
    pub ends: Option<Timestamp>,
}

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpiryKind {
    /// The server's certificate, or one of its chain.
    Serving,
    /// An authority that vouches for clients.
    ClientAuthority,
    /// What such an authority took back.
    RevocationList,
}

/// Where something stands that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryStatus {
    /// It holds.
    Valid,
    /// It ends within 30 days.
    ExpiresSoon,
    /// It has ended.
    Expired,
}

// === impl ExpiryKind ===

impl ExpiryKind {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "the serving certificate",
            Self::ClientAuthority => "the client authority",
            Self::RevocationList => "the revocation list of",
        }
    }

    /// The setting that names its file.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Serving => "server.tls_cert_file",
            Self::ClientAuthority => "authentication.client_ca_file",
            Self::RevocationList => "authentication.client_crl_file",
        }
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Serving => "clients refuse the service",
            Self::ClientAuthority => "it still vouches for clients",
            Self::RevocationList => {
                "what was revoked since is let in, unless authentication.require_current_crl refuses all whom it is about"
            }
        }
    }
}

// === impl Expiry ===

impl Expiry {
    /// Certificates, in order. One that can't be read here has no date, and the TLS library has its own word about it.
    pub(super) fn certificates(kind: ExpiryKind, all: &[CertificateDer<'_>]) -> Vec<Self> {
        let dated = all.iter().filter_map(|der| {
            let (_, read) = X509Certificate::from_der(der).ok()?;
            Some(Self { kind, name: named(read.subject()), ends: time(read.validity().not_after) })
        });
        dated.collect()
    }

    /// Revocation lists, in order.
    pub(super) fn lists(all: &[CertificateRevocationListDer<'_>]) -> Vec<Self> {
        let dated = all.iter().filter_map(|der| {
            let (_, read) = CertificateRevocationList::from_der(der).ok()?;
            let ends = read.next_update().and_then(time);
            Some(Self { kind: ExpiryKind::RevocationList, name: named(read.issuer()), ends })
        });
        dated.collect()
    }

    /// Where it stands. A list is made for days and renewed by machines: it never ends soon.
    pub fn status(&self, now: Timestamp) -> ExpiryStatus {
        match self.ends {
            Some(ends) if ends <= now => ExpiryStatus::Expired,
            Some(ends) if self.kind != ExpiryKind::RevocationList && ends.duration_since(now) <= SOON => {
                ExpiryStatus::ExpiresSoon
            }
            _ => ExpiryStatus::Valid,
        }
    }

    /// What is to be said of it now: a sentence, and what to do. Nothing where it holds.
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        let (ends, kind) = (self.ends?, self.kind);
        let what = format!("{} {:?}", kind.as_str(), &*self.name);
        let renew = format!("Renew {}; the service reads it again by itself.", kind.setting());
        match self.status(now) {
            ExpiryStatus::Valid => None,
            ExpiryStatus::ExpiresSoon => Some(format!("{what} ends soon, at {ends}. {renew}")),
            ExpiryStatus::Expired => {
                Some(format!("{what} has ended at {ends}: {}. {renew}", kind.consequence()))
            }
        }
    }
}

fn named(name: &X509Name<'_>) -> Quote {
    name.to_string().into()
}

fn time(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

/// Says in the log what has changed since it was said last.
#[derive(Default)]
pub(super) struct Told(Vec<(ExpiryKind, Quote, ExpiryStatus)>);

// === impl Told ===

impl Told {
    pub(super) fn tell(&mut self, all: &[Expiry], now: Timestamp) {
        let standings =
            all.iter().map(|dated| (dated.kind, dated.name.clone(), dated.status(now))).collect::<Vec<_>>();
        for (dated, standing) in all.iter().zip(&standings) {
            let Some(problem) = dated.problem(now).filter(|_| !self.0.contains(standing)) else { continue };
            let ends = dated.ends.map(|ends| ends.to_string());
            match standing.2 {
                ExpiryStatus::Expired => tracing::error!(ends, "{problem}"),
                _ => tracing::warn!(ends, "{problem}"),
            }
        }
        self.0 = standings;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(kind: ExpiryKind, days: i64) -> Expiry {
        let ends = Some(now() + SignedDuration::from_hours(24 * days));
        Expiry { kind, name: "CN=pump".into(), ends }
    }

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_ends_within_thirty_days_ends_soon_and_a_list_only_when_it_has() {
        use ExpiryKind::{RevocationList, Serving};
        for (kind, days, standing) in [
            (Serving, 31, ExpiryStatus::Valid),
            (Serving, 30, ExpiryStatus::ExpiresSoon),
            (Serving, 0, ExpiryStatus::Expired),
            (RevocationList, 1, ExpiryStatus::Valid),
            (RevocationList, 0, ExpiryStatus::Expired),
        ] {
            assert_eq!(dated(kind, days).status(now()), standing, "{kind:?} {days}");
        }
        let forever = Expiry { ends: None, ..dated(RevocationList, 0) };
        assert_eq!(forever.status(now()), ExpiryStatus::Valid);
    }

    #[test]
    fn a_problem_names_what_ends_when_and_the_setting() {
        assert_eq!(dated(ExpiryKind::Serving, 90).problem(now()), None);
        let problem = dated(ExpiryKind::Serving, 7).problem(now()).unwrap();
        for word in ["serving certificate", "CN=pump", "2026-12-03", "server.tls_cert_file"] {
            assert!(problem.contains(word), "{word}: {problem}");
        }
    }
}
