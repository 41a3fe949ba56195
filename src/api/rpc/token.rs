//! Page and resume tokens: opaque to callers, good only for the method and filter that they were given for, and unforgeable.
//!
//! A token is base64url of: a version byte, when it was issued, the place, and a MAC by this database's key over all of that,
//! the method and the filter. Nothing is kept for it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use crate::{
    model::{SyncedSecretId, UsagePlace},
    secrets::{Error, FeedPlace, History, Signer, VaultCursor},
};

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
const HEAD_BYTES: usize = 1 + 8;
/// Seconds that a page token is good for.
const PAGE_LIFE: i64 = 24 * 60 * 60;
/// More than any token of ours; a vault's continuation is the longest part.
const LONGEST: usize = 16 * 1024;

/// What a token is good for: one method with one filter.
pub(crate) struct Scope {
    signer: Signer,
    purpose: &'static str,
    /// The field that brings the token, for the error.
    field: &'static str,
    method: &'static str,
    filter: Vec<u8>,
    /// Seconds; `None` where something else bounds it.
    life: Option<i64>,
    /// By the clock of the database: a wall clock that is set makes no token old.
    now: Timestamp,
}

/// A place in a list or a feed that a token can hold.
pub(crate) trait Place: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    /// `None` where the bytes are no such place.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

// === impl Scope ===

impl Scope {
    /// Of the pages of a list. `filter` is everything in the request that decides what is listed, in protobuf.
    pub(crate) fn pages((signer, now): (Signer, Timestamp), method: &'static str, filter: Vec<u8>) -> Self {
        let life = Some(PAGE_LIFE);
        Self { signer, purpose: "page-token", field: "page_token", method, filter, life, now }
    }

    /// Of a watch. The feed bounds how long such a token is good, and it outlives a restart.
    pub(crate) fn watch(signer: Signer, method: &'static str, filter: Vec<u8>) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self { signer, purpose: "resume-token", field: "resume_token", method, filter, life: None, now }
    }

    /// The token of a place.
    pub(crate) fn issue(&self, place: &impl Place) -> String {
        self.issue_at(place, self.now)
    }

    /// The place that a token holds; `None` for no token.
    pub(crate) fn open<P: Place>(&self, token: &str) -> Result<Option<P>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let rule = match self.read(token) {
            Some((place, age)) if self.life.is_none_or(|life| (0..=life).contains(&age)) => {
                return Ok(Some(place));
            }
            Some(_) => "this token is older than a day; begin again without it",
            None => {
                "this is not a token that an earlier response of this method with the same filter held; \
                 begin again without it"
            }
        };
        Err(Error::invalid(self.field, rule))
    }

    fn issue_at(&self, place: &impl Place, now: Timestamp) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(now.as_second().to_be_bytes());
        bytes.extend(place.to_bytes());
        let mac = self.mac(&bytes);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place and the age in seconds.
    fn read<P: Place>(&self, token: &str) -> Option<(P, i64)> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        verify_slices_are_equal(&self.mac(content), mac).ok()?;
        let (head, place) = content.split_at_checked(HEAD_BYTES)?;
        if head[0] != VERSION {
            return None;
        }
        let issued = i64::from_be_bytes(head[1..].try_into().ok()?);
        let age = self.now.as_second().saturating_sub(issued).max(0);
        Some((P::from_bytes(place)?, age))
    }

    fn mac(&self, content: &[u8]) -> [u8; MAC_BYTES] {
        let mut signed = Vec::with_capacity(self.method.len() + self.filter.len() + content.len() + 16);
        for part in [self.method.as_bytes(), &self.filter, content] {
            // With its length, so that no two scopes share a text.
            signed.extend((part.len() as u64).to_be_bytes());
            signed.extend(part);
        }
        self.signer.sign(self.purpose, &signed)
    }
}

// === impl Place ===

/// The last synced secret of a page.
impl Place for SyncedSecretId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

/// Where a watch goes on. Of a release that knew no history, a place in none: it is out of range.
impl Place for FeedPlace {
    fn to_bytes(&self) -> Vec<u8> {
        [self.sequence.to_be_bytes().as_slice(), &self.history].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, history) = bytes.split_first_chunk()?;
        let history = if history.is_empty() { History::default() } else { history.try_into().ok()? };
        Some(Self { sequence: i64::from_be_bytes(*sequence), history })
    }
}

/// A sequence of the audit.
impl Place for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// The last use of a page.
impl Place for UsagePlace {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts have a JSON form")
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Entries shown of the vault's page, then the vault's continuation, where it isn't the first page.
impl Place for VaultCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = (self.shown as u64).to_be_bytes().to_vec();
        if let Some(page) = &self.page {
            bytes.push(1);
            bytes.extend(page.as_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shown, page) = bytes.split_at_checked(8)?;
        let shown = usize::try_from(u64::from_be_bytes(shown.try_into().ok()?)).ok()?;
        let page = match page {
            [] => None,
            [1, page @ ..] => Some(String::from_utf8(page.to_vec()).ok()?),
            _ => return None,
        };
        Some(Self { page, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{House, house};

    fn now(house: &House) -> (Signer, Timestamp) {
        (house.secrets.signer(), Timestamp::now())
    }

    const LIST: &str = "ListSyncedSecrets";

    fn violated(error: Error) -> String {
        match error {
            Error::Refused(problems) => problems[0].field.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_token_brings_back_its_place() {
        let house = house().await;
        let pages = Scope::pages(now(&house), LIST, b"filter".to_vec());
        let id: SyncedSecretId = "edp1secrets".parse().unwrap();
        assert_eq!(pages.open(&pages.issue(&id)).unwrap(), Some(id));
        assert_eq!(pages.open(&pages.issue(&-7_i64)).unwrap(), Some(-7_i64));
        for page in [None, Some(String::new()), Some("https://vault/next?$skiptoken=ä".to_owned())] {
            let cursor = VaultCursor { page, shown: 24 };
            assert_eq!(pages.open(&pages.issue(&cursor)).unwrap(), Some(cursor));
        }
        assert_eq!(pages.open::<i64>("").unwrap(), None);
    }

    #[tokio::test]
    async fn a_token_with_any_bit_changed_is_refused() {
        let house = house().await;
        let pages = Scope::pages(now(&house), LIST, vec![]);
        let token = pages.issue(&7_i64);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let error = pages.open::<i64>(&URL_SAFE_NO_PAD.encode(&forged)).unwrap_err();
            assert_eq!(violated(error), "page_token", "bit {bit}");
        }
        for end in 1..token.len() {
            assert!(pages.open::<i64>(&token[..end]).is_err(), "cut at {end}");
        }
        for text in ["x", "====", "ä", &"A".repeat(100_000), &format!("{token}A"), &format!("{token}=")] {
            assert!(pages.open::<i64>(text).is_err());
        }
    }

    #[tokio::test]
    async fn a_token_of_another_method_filter_use_or_database_is_refused() {
        let (house, other) = (house().await, crate::api::tests::house().await);
        let token = Scope::pages(now(&house), LIST, b"f".to_vec()).issue(&7_i64);
        for foreign in [
            Scope::pages(now(&house), "ListAuditEvents", b"f".to_vec()),
            Scope::pages(now(&house), LIST, b"g".to_vec()),
            Scope::watch(house.secrets.signer(), LIST, b"f".to_vec()),
            Scope::pages(now(&other), LIST, b"f".to_vec()),
        ] {
            assert_eq!(violated(foreign.open::<i64>(&token).unwrap_err()), foreign.field);
        }
    }

    #[tokio::test]
    async fn a_page_token_lives_a_day_and_a_resume_token_as_long_as_the_feed() {
        let house = house().await;
        let (pages, watch) =
            (Scope::pages(now(&house), LIST, vec![]), Scope::watch(house.secrets.signer(), LIST, vec![]));
        let ago = |seconds| Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap();
        assert!(pages.open::<i64>(&pages.issue_at(&7_i64, ago(PAGE_LIFE - 60))).is_ok());
        let error = pages.open::<i64>(&pages.issue_at(&7_i64, ago(PAGE_LIFE + 60))).unwrap_err();
        assert!(error.to_string().contains("older than a day"), "{error}");
        assert!(pages.open::<i64>(&pages.issue_at(&7_i64, ago(-600))).is_ok());
        assert!(watch.open::<i64>(&watch.issue_at(&7_i64, ago(10 * PAGE_LIFE))).is_ok());
    }
}
