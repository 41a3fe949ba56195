//! The files of the page, as `build.rs` has compressed them.

use std::{io::Read, sync::OnceLock};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::HeaderValue;

use super::negotiation::Coding;

/// A file of the page.
pub(super) struct File {
    /// Where it is: `/index.html`.
    pub(super) path: &'static str,
    pub(super) media_type: &'static str,
    /// Bytes of its content.
    length: usize,
    brotli: &'static [u8],
    gzip: &'static [u8],
}

/// All files, by their paths in ascending order.
const FILES: &[File] = &include!(concat!(env!("OUT_DIR"), "/page.rs"));

const INDEX: &str = "/index.html";

/// All files of the page.
pub(super) struct Assets(pub(super) Vec<Asset>);

/// A file, and what was made of it.
pub(super) struct Asset {
    pub(super) file: &'static File,
    /// Its content for clients that take no compression: made once, when the first of them comes.
    content: OnceLock<Bytes>,
}

// === impl Assets ===

impl Assets {
    /// The files in this binary.
    pub(super) fn embedded() -> Self {
        Self(FILES.iter().map(|file| Asset { file, content: OnceLock::new() }).collect())
    }

    /// The file with exactly this path. The page itself has none: it is `/`.
    pub(super) fn find(&self, path: &str) -> Option<&Asset> {
        self.0.iter().find(|asset| asset.file.path == path && path != INDEX)
    }

    /// The page itself.
    pub(super) fn index(&self) -> &Asset {
        let index = self.0.iter().find(|asset| asset.file.path == INDEX);
        index.expect("build.rs refuses a page without index.html")
    }
}

// === impl Asset ===

impl Asset {
    /// The content in a coding.
    pub(super) fn content(&self, coding: Coding) -> Bytes {
        match coding {
            Coding::Brotli => Bytes::from_static(self.file.brotli),
            Coding::Gzip => Bytes::from_static(self.file.gzip),
            Coding::Identity => self.content.get_or_init(|| self.file.decompressed()).clone(),
        }
    }

    /// The entity tag of the content together with a policy that it is sent with. Weak, because it is the same in all
    /// codings.
    pub(super) fn tag(&self, policy: &str) -> HeaderValue {
        let mut digest = Context::new(&SHA256);
        digest.update(self.file.brotli);
        digest.update(policy.as_bytes());
        let tag = format!("W/\"{}\"", hex::encode(&digest.finish().as_ref()[..16]));
        HeaderValue::from_str(&tag).expect("hexadecimal digits are visible ASCII")
    }
}

// === impl File ===

impl File {
    fn decompressed(&self) -> Bytes {
        let mut content = Vec::with_capacity(self.length);
        let read = GzDecoder::new(self.gzip).read_to_end(&mut content);
        read.expect("build.rs has compressed it");
        content.into()
    }
}
