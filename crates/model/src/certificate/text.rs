//! PEM as Go writes it: lines of 64 characters that end with a line feed.

use pem::{EncodeConfig, LineEnding, Pem};
use zeroize::Zeroizing;

/// Blocks by their labels and DER.
pub(super) fn encode<'a>(blocks: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Zeroizing<Vec<u8>> {
    let blocks = blocks.into_iter().map(|(label, der)| {
        let block = Pem::new(label, der);
        let text = text_of(&block);
        drop(Zeroizing::new(block.into_contents()));
        text
    });
    let blocks: Vec<_> = blocks.collect();
    // Allocated once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(blocks.iter().map(|block| block.len()).sum()));
    blocks.iter().for_each(|block| text.extend_from_slice(block));
    text
}

/// One block, with its headers.
pub(super) fn text_of(block: &Pem) -> Zeroizing<Vec<u8>> {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    Zeroizing::new(pem::encode_config(block, config).into_bytes())
}
