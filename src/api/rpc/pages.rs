//! Pages of lists: how many items a request asks for, and how many an answer can hold.

use prost::Message;

use super::token::{Position, TokenScope};
use crate::secrets::Error;

const DEFAULT_PAGE_SIZE: usize = 100;
const MAX_PAGE_SIZE: usize = 1_000;

/// Bytes of an answer besides its items: the next token, sizes.
const RESERVED_BYTES: usize = 64 * 1024;

/// How large a page may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages {
    /// Bytes of all items of a page. A larger page ends earlier, as AIP-158 allows.
    bytes: usize,
}

// === impl Pages ===

impl Pages {
    /// Pages that fit into answers of this size.
    pub(crate) fn within(answer_bytes: usize) -> Self {
        Self { bytes: answer_bytes.saturating_sub(RESERVED_BYTES).max(answer_bytes / 2) }
    }

    /// The items that fit, at least one, and the token of the next page if there are more; `position_of` says
    /// where an item stands.
    pub(super) fn fill<T: Message, P: Position>(
        &self,
        scope: &TokenScope,
        items: impl ExactSizeIterator<Item = T>,
        more: bool,
        position_of: impl FnOnce(usize) -> P,
    ) -> (Vec<T>, String) {
        let all = items.len();
        let (mut page, mut bytes) = (Vec::new(), 0);
        for item in items {
            bytes += size(&item);
            if bytes > self.bytes && !page.is_empty() {
                break;
            }
            page.push(item);
        }
        let last = page.len().checked_sub(1).filter(|_| more || page.len() < all);
        let token = last.map_or_else(String::new, |last| scope.issue(&position_of(last)));
        (page, token)
    }

    /// Whether all these items fit.
    pub(super) fn fits<T: Message>(&self, items: &[T]) -> bool {
        items.iter().map(size).sum::<usize>() <= self.bytes
    }
}

/// AIP-158: 0 means the default, a larger size than the maximum means the maximum, and a negative one is an
/// error.
pub(super) fn page_size(wire: i32) -> Result<usize, Error> {
    match usize::try_from(wire) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err(Error::invalid(
            "page_size",
            "must be 0 or more; 0 means 100, and a page has at most 1000 items",
        )),
    }
}

/// Bytes of an item in a repeated field: its own, a tag, and a length of at most five bytes.
fn size(item: &impl Message) -> usize {
    item.encoded_len() + 6
}
