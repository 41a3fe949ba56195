//! When the TLS files expire. The log says so at the start and at every change, and so do `secret-service
//! check` and the metrics. Nothing else shows it: certificates of an expired client CA are still accepted,
//! and an outdated revocation list still revokes what it lists.

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::{
    prelude::{FromDer, X509Certificate},
    revocation_list::CertificateRevocationList,
    time::ASN1Time,
    x509::X509Name,
};

use crate::quote::Quote;

/// A certificate that expires within this time is reported.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The expiry of something in the TLS files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// The subject of a certificate, or the issuer of a revocation list.
    pub name: Quote,
    /// When it expires; `None` for a revocation list without a next update.
    pub time: Option<Timestamp>,
}

/// What expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpiryKind {
    /// The server's certificate, or one of its chain.
    Serving,
    /// A client CA.
    ClientAuthority,
    /// A revocation list of a client CA.
    RevocationList,
}

/// Whether something has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryStatus {
    /// It is valid.
    Valid,
    /// It expires within 30 days.
    ExpiresSoon,
    /// It has expired.
    Expired,
}

// === impl ExpiryKind ===

impl ExpiryKind {
    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "the serving certificate",
            Self::ClientAuthority => "the client CA",
            Self::RevocationList => "the revocation list of",
        }
    }

    /// The setting with its file.
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
            Self::ClientAuthority => "certificates that it issued are still accepted",
            Self::RevocationList => {
                "certificates revoked since then are accepted, unless authentication.require_current_crl refuses all certificates of its issuer"
            }
        }
    }
}

// === impl Expiry ===

impl Expiry {
    /// The expiries of certificates, in order. Skips one that cannot be parsed: the TLS library reports that.
    pub(super) fn certificates(kind: ExpiryKind, all: &[CertificateDer<'_>]) -> Vec<Self> {
        let expiries = all.iter().filter_map(|der| {
            let (_, read) = X509Certificate::from_der(der).ok()?;
            Some(Self { kind, name: named(read.subject()), time: time(read.validity().not_after) })
        });
        expiries.collect()
    }

    /// The expiries of revocation lists, in order.
    pub(super) fn revocation_lists(all: &[CertificateRevocationListDer<'_>]) -> Vec<Self> {
        let expiries = all.iter().filter_map(|der| {
            let (_, read) = CertificateRevocationList::from_der(der).ok()?;
            let time = read.next_update().and_then(time);
            Some(Self { kind: ExpiryKind::RevocationList, name: named(read.issuer()), time })
        });
        expiries.collect()
    }

    /// Whether it has expired. A revocation list is valid for days and renewed automatically, so it never
    /// expires soon.
    pub fn status(&self, now: Timestamp) -> ExpiryStatus {
        match self.time {
            Some(time) if time <= now => ExpiryStatus::Expired,
            Some(time)
                if self.kind != ExpiryKind::RevocationList && time.duration_since(now) <= EXPIRES_SOON =>
            {
                ExpiryStatus::ExpiresSoon
            }
            _ => ExpiryStatus::Valid,
        }
    }

    /// The problem and what to do; `None` while it is valid.
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        let (time, kind) = (self.time?, self.kind);
        let what = format!("{} {:?}", kind.as_str(), &*self.name);
        let renew = format!("Renew the file in {}; the service reads it again by itself.", kind.setting());
        match self.status(now) {
            ExpiryStatus::Valid => None,
            ExpiryStatus::ExpiresSoon => Some(format!("{what} expires soon, at {time}. {renew}")),
            ExpiryStatus::Expired => {
                Some(format!("{what} expired at {time}: {}. {renew}", kind.consequence()))
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

/// Logs the expiries whose status has changed.
#[derive(Default)]
pub(super) struct ExpiryLog(Vec<(ExpiryKind, Quote, ExpiryStatus)>);

// === impl ExpiryLog ===

impl ExpiryLog {
    pub(super) fn log(&mut self, all: &[Expiry], now: Timestamp) {
        let statuses = all
            .iter()
            .map(|expiry| (expiry.kind, expiry.name.clone(), expiry.status(now)))
            .collect::<Vec<_>>();
        for (expiry, status) in all.iter().zip(&statuses) {
            let Some(problem) = expiry.problem(now).filter(|_| !self.0.contains(status)) else { continue };
            let ends = expiry.time.map(|time| time.to_string());
            match status.2 {
                ExpiryStatus::Expired => tracing::error!(ends, "{problem}"),
                _ => tracing::warn!(ends, "{problem}"),
            }
        }
        self.0 = statuses;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(kind: ExpiryKind, days: i64) -> Expiry {
        let time = Some(now() + SignedDuration::from_hours(24 * days));
        Expiry { kind, name: "CN=pump".into(), time }
    }

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_certificate_expires_soon_30_days_before_and_a_revocation_list_never() {
        use ExpiryKind::{RevocationList, Serving};
        for (kind, days, status) in [
            (Serving, 31, ExpiryStatus::Valid),
            (Serving, 30, ExpiryStatus::ExpiresSoon),
            (Serving, 0, ExpiryStatus::Expired),
            (RevocationList, 1, ExpiryStatus::Valid),
            (RevocationList, 0, ExpiryStatus::Expired),
        ] {
            assert_eq!(expiry(kind, days).status(now()), status, "{kind:?} {days}");
        }
        let forever = Expiry { time: None, ..expiry(RevocationList, 0) };
        assert_eq!(forever.status(now()), ExpiryStatus::Valid);
    }

    #[test]
    fn a_problem_names_what_expires_when_and_the_setting() {
        assert_eq!(expiry(ExpiryKind::Serving, 90).problem(now()), None);
        let problem = expiry(ExpiryKind::Serving, 7).problem(now()).unwrap();
        for word in ["serving certificate", "CN=pump", "2026-12-03", "server.tls_cert_file"] {
            assert!(problem.contains(word), "{word}: {problem}");
        }
    }
}
