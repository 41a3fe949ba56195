//! What a client accepts and has: the content coding, HTML, and entity tags (RFC 9110, 12.5 and 13.1.2).

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH},
};

use super::list;

/// How content is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

// === impl Coding ===

impl Coding {
    /// Those that compress, the best first.
    const COMPRESSED: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding`, which does not name identity.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// The coding that a client likes best; of equal ones, the smallest content. Identity if it accepts nothing that we have.
pub(super) fn coding(headers: &HeaderMap) -> Coding {
    let accepted: Vec<(&str, u16)> = list(headers, &ACCEPT_ENCODING).filter_map(weighted).collect();
    let weight_of = |wanted: &str| {
        let named = accepted.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.or_else(|| accepted.iter().find(|(name, _)| *name == "*")).map(|(_, weight)| *weight)
    };
    // What is acceptable without being named comes last.
    let mut best = (Coding::Identity, weight_of("identity").unwrap_or(0));
    for coding in Coding::COMPRESSED.into_iter().rev() {
        let weight = coding.name().and_then(weight_of).unwrap_or(0);
        if weight > 0 && weight >= best.1 {
            best = (coding, weight);
        }
    }
    best.0
}

/// Whether a client names HTML among what it accepts, as a browser does that opens a page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    let mut accepted = list(headers, &ACCEPT).filter_map(weighted);
    accepted.any(|(range, weight)| range.eq_ignore_ascii_case("text/html") && weight > 0)
}

/// Whether a client has the content with this tag. Tags are compared weakly.
pub(super) fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else { return false };
    list(headers, &IF_NONE_MATCH).any(|known| known == "*" || opaque(known) == tag)
}

/// An item of a list with its weight in thousandths; `None` if the weight is malformed.
fn weighted(item: &str) -> Option<(&str, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let Some(text) = weight else { return Some((name, 1_000)) };
    let weight: f32 = text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    Some((name, (weight * 1_000.0) as u16))
}
