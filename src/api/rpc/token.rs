//! Page and resume tokens: opaque, unforgeable, and valid only for the method and filter that they were
//! issued for.
//!
//! A token is base64url of a version byte, the time of issue, the position, and a MAC by this database's key
//! over all of that, the method and the filter. The service keeps no state for it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::request::RpcRequest;
use crate::{
    model::{SyncedSecretId, UsagePlace},
    secrets::{EntryDigest, Error, FeedPlace, HistoryDigest, MAX_SHOWN, Secrets, Signer, VaultCursor},
};

const VERSION: u8 = 1;
const VAULT_CURSOR: u8 = 2;
const MAC_BYTES: usize = 32;
const HEAD_BYTES: usize = 1 + 8;
/// Seconds for which a page token is valid.
const PAGE_TOKEN_LIFE: i64 = 24 * 60 * 60;
/// Longer than any token that the service issues; the longest part is the vault's page token.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What a token is valid for: one method with one filter.
pub(crate) struct TokenScope {
    signer: Signer,
    purpose: &'static str,
    /// The field that holds the token, for the error.
    field: &'static str,
    method: &'static str,
    filter: Vec<u8>,
    /// In seconds; `None` if something else bounds it.
    life: Option<i64>,
    /// By the clock of the database, so that setting the wall clock makes no token expire.
    now: Timestamp,
}

/// A position in a list or a feed that a token can hold.
pub(crate) trait Position: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    /// `None` if the bytes are not such a position.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

// === impl TokenScope ===

impl TokenScope {
    /// For the pages of a list. `filter` is everything in the request that decides what is listed.
    pub(super) fn pages<T: RpcRequest>(secrets: &Secrets, filter: Vec<u8>) -> Self {
        Self::page_tokens((secrets.page_signer(), secrets.clock()), T::METHOD, filter)
    }

    pub(super) fn page_tokens(
        (signer, now): (Signer, Timestamp),
        method: &'static str,
        filter: Vec<u8>,
    ) -> Self {
        let life = Some(PAGE_TOKEN_LIFE);
        Self { signer, purpose: "page-token", field: "page_token", method, filter, life, now }
    }

    /// For a watch. The feed bounds how long such a token is valid; it survives a restart.
    pub(crate) fn watch(signer: Signer, method: &'static str, filter: Vec<u8>) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self { signer, purpose: "resume-token", field: "resume_token", method, filter, life: None, now }
    }

    /// The token of a position.
    pub(crate) fn issue(&self, position: &impl Position) -> String {
        self.issue_at(position, self.now)
    }

    /// The position that a token holds; `None` for no token.
    pub(crate) fn open<P: Position>(&self, token: &str) -> Result<Option<P>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let rule = match self.read(token) {
            Some((position, age)) if self.life.is_none_or(|life| (0..=life).contains(&age)) => {
                return Ok(Some(position));
            }
            Some(_) => "is older than a day; start again without it",
            None => {
                "is not a token from an earlier response of this method with the same filter; start again without it"
            }
        };
        Err(Error::invalid(self.field, rule))
    }

    fn issue_at(&self, position: &impl Position, now: Timestamp) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(now.as_second().to_be_bytes());
        bytes.extend(position.to_bytes());
        let mac = self.mac(&bytes);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position and the age in seconds.
    fn read<P: Position>(&self, token: &str) -> Option<(P, i64)> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        verify_slices_are_equal(&self.mac(content), mac).ok()?;
        let (head, position) = content.split_at_checked(HEAD_BYTES)?;
        if head[0] != VERSION {
            return None;
        }
        let issued = i64::from_be_bytes(head[1..].try_into().ok()?);
        let age = self.now.as_second().saturating_sub(issued).max(0);
        Some((P::from_bytes(position)?, age))
    }

    fn mac(&self, content: &[u8]) -> [u8; MAC_BYTES] {
        let mut signed = Vec::with_capacity(self.method.len() + self.filter.len() + content.len() + 16);
        for part in [self.method.as_bytes(), &self.filter, content] {
            // With its length, so that no two scopes sign the same bytes.
            signed.extend((part.len() as u64).to_be_bytes());
            signed.extend(part);
        }
        self.signer.sign(self.purpose, &signed)
    }
}

// === impl Position ===

/// The last synced secret of a page.
impl Position for SyncedSecretId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

/// Where a watch continues. A token of a release without histories belongs to none, so it is out of range.
impl Position for FeedPlace {
    fn to_bytes(&self) -> Vec<u8> {
        [self.sequence.to_be_bytes().as_slice(), &self.history].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, history) = bytes.split_first_chunk()?;
        let history = if history.is_empty() { HistoryDigest::default() } else { history.try_into().ok()? };
        Some(Self { sequence: i64::from_be_bytes(*sequence), history })
    }
}

/// The sequence number of an audit event.
impl Position for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// The last usage of a page.
impl Position for UsagePlace {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts have a JSON form")
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A mark (tokens of earlier releases begin with a zero), how many entries of the page were shown, their
/// digests, then the vault's token of that page unless it is the first.
impl Position for VaultCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let count = u16::try_from(self.shown.len()).expect("no more are remembered than MAX_SHOWN");
        let mut bytes = vec![VAULT_CURSOR];
        bytes.extend(count.to_be_bytes());
        bytes.extend(self.shown.as_flattened());
        if let Some(page) = &self.page {
            bytes.push(1);
            bytes.extend(page.as_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[VAULT_CURSOR, high, low], rest) = bytes.split_first_chunk()? else { return None };
        let count = usize::from(u16::from_be_bytes([high, low]));
        let (shown, page) = rest.split_at_checked(count * size_of::<EntryDigest>())?;
        let shown = shown.as_chunks().0.to_vec();
        let page = match page {
            [] => None,
            [1, page @ ..] => Some(String::from_utf8(page.to_vec()).ok()?),
            _ => return None,
        };
        (shown.len() <= MAX_SHOWN).then_some(Self { page, shown })
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
    async fn a_token_returns_its_position() {
        let house = house().await;
        let pages = TokenScope::page_tokens(now(&house), LIST, b"filter".to_vec());
        let id: SyncedSecretId = "edp1secrets".parse().unwrap();
        assert_eq!(pages.open(&pages.issue(&id)).unwrap(), Some(id));
        assert_eq!(pages.open(&pages.issue(&-7_i64)).unwrap(), Some(-7_i64));
        for page in [None, Some(String::new()), Some("https://vault/next?$skiptoken=ä".to_owned())] {
            for shown in [vec![], vec![[7; 16], [8; 16]], vec![[9; 16]; MAX_SHOWN]] {
                let cursor = VaultCursor { page: page.clone(), shown };
                assert_eq!(pages.open(&pages.issue(&cursor)).unwrap(), Some(cursor));
            }
        }
        assert_eq!(pages.open::<i64>("").unwrap(), None);
    }

    #[tokio::test]
    async fn a_token_with_any_bit_changed_is_refused() {
        let house = house().await;
        let pages = TokenScope::page_tokens(now(&house), LIST, vec![]);
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
        let token = TokenScope::page_tokens(now(&house), LIST, b"f".to_vec()).issue(&7_i64);
        for foreign in [
            TokenScope::page_tokens(now(&house), "ListAuditEvents", b"f".to_vec()),
            TokenScope::page_tokens(now(&house), LIST, b"g".to_vec()),
            TokenScope::watch(house.secrets.signer(), LIST, b"f".to_vec()),
            TokenScope::page_tokens(now(&other), LIST, b"f".to_vec()),
        ] {
            assert_eq!(violated(foreign.open::<i64>(&token).unwrap_err()), foreign.field);
        }
    }

    #[tokio::test]
    async fn a_page_token_is_valid_for_a_day_and_a_resume_token_as_long_as_the_feed() {
        let house = house().await;
        let (pages, watch) = (
            TokenScope::page_tokens(now(&house), LIST, vec![]),
            TokenScope::watch(house.secrets.signer(), LIST, vec![]),
        );
        let ago = |seconds| Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap();
        assert!(pages.open::<i64>(&pages.issue_at(&7_i64, ago(PAGE_TOKEN_LIFE - 60))).is_ok());
        let error = pages.open::<i64>(&pages.issue_at(&7_i64, ago(PAGE_TOKEN_LIFE + 60))).unwrap_err();
        assert!(error.to_string().contains("older than a day"), "{error}");
        assert!(pages.open::<i64>(&pages.issue_at(&7_i64, ago(-600))).is_ok());
        assert!(watch.open::<i64>(&watch.issue_at(&7_i64, ago(10 * PAGE_TOKEN_LIFE))).is_ok());
    }
}
