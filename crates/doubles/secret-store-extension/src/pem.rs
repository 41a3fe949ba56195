//! PEM as Go's `encoding/pem` reads and writes it: a block that is not whole is passed over, and lines have 64 columns.

use std::collections::BTreeMap;

use base64::{
    Engine,
    alphabet::STANDARD as ALPHABET,
    engine::{GeneralPurpose, general_purpose::PAD},
};
use zeroize::Zeroizing;

/// The label of certificates.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &str = "-----";
const COLUMNS: usize = 64;
/// Go ignores bits after the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(&ALPHABET, PAD.with_decode_allow_trailing_bits(true));

/// A block.
pub(super) struct Block {
    /// What follows `BEGIN`.
    pub label: String,
    /// Lines of a name and a value before the content.
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// All blocks of a text, and what follows the last one; without any block, the whole text.
pub(super) fn blocks(mut text: &[u8]) -> (Vec<Block>, &[u8]) {
    let mut blocks = Vec::new();
    while let Some((block, rest)) = next(text) {
        blocks.push(block);
        text = rest;
    }
    (blocks, text)
}

/// The blocks as one text.
pub(super) fn text(blocks: &[Block]) -> Zeroizing<String> {
    Zeroizing::new(blocks.iter().map(|block| block.encode().to_string()).collect())
}

/// The first whole block, and what follows it.
fn next(text: &[u8]) -> Option<(Block, &[u8])> {
    let mut rest = text;
    loop {
        let end = find(rest, END)?;
        let (before, after) = (&rest[..end], &rest[end + END.len()..]);
        // The last beginning before the end: others have no end of their own.
        let begin = before.windows(BEGIN.len()).rposition(|window| window == BEGIN);
        let begin = begin.filter(|at| *at == 0 || before[at - 1] == b'\n');
        let found = begin.and_then(|begin| Block::parse(&before[begin + BEGIN.len()..], after));
        if found.is_some() {
            return found;
        }
        rest = after;
    }
}

// === impl Block ===

impl Block {
    pub fn new(label: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { label: label.to_owned(), headers: BTreeMap::new(), bytes: Zeroizing::new(bytes.into()) }
    }

    pub fn is_certificate(&self) -> bool {
        self.label == CERTIFICATE
    }

    /// A block from what stands between `BEGIN` and the end, and what follows `END`.
    fn parse<'a>(inside: &[u8], after: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut lines = std::str::from_utf8(inside).ok()?.split('\n').peekable();
        let label = lines.next()?;
        let label = trimmed(label.strip_suffix('\r').unwrap_or(label)).strip_suffix(DASHES)?;
        let (trailer, rest) = first_line(after);
        let trailer = trailer.strip_prefix(label.as_bytes()).and_then(|end| std::str::from_utf8(end).ok());
        if trailer.map(trimmed) != Some(DASHES) {
            return None;
        }
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = lines.peek().and_then(|line| line.split_once(':')) {
            headers.insert(name.trim().to_owned(), value.trim().to_owned());
            lines.next();
        }
        // An empty line separates headers even from no content.
        if !headers.is_empty() && lines.peek().is_none() {
            return None;
        }
        let content: Zeroizing<String> =
            Zeroizing::new(lines.flat_map(str::chars).filter(|c| !matches!(c, ' ' | '\t' | '\r')).collect());
        let bytes = Zeroizing::new(BASE64.decode(content.as_bytes()).ok()?);
        Some((Self { label: label.to_owned(), headers, bytes }, rest))
    }

    /// The block as text.
    pub fn encode(&self) -> Zeroizing<String> {
        let label = &self.label;
        let content = Zeroizing::new(BASE64.encode(self.bytes.as_slice()));
        let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\n"));
        }
        if !self.headers.is_empty() {
            text.push('\n');
        }
        let mut rest = content.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(COLUMNS));
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text.push_str(&format!("-----END {label}-----\n"));
        text
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// The first line, and what follows it. A carriage return belongs to the end of a line only directly before it.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(at) => (text[..at].strip_suffix(b"\r").unwrap_or(&text[..at]), &text[at + 1..]),
        None => (text, &[]),
    }
}

fn trimmed(line: &str) -> &str {
    line.trim_end_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Vec<u8>)> {
        let (blocks, _) = blocks(text.as_bytes());
        blocks.into_iter().map(|block| (block.label, block.bytes.to_vec())).collect()
    }

    #[test]
    fn line_ends_blanks_and_text_between_blocks_make_no_difference() {
        let text = "note\r\n-----BEGIN A-----\r\nYW\r\n E=\t\r\n-----END A-----  \r\nnote\n\
                    -----BEGIN B C-----\nYg==\n-----END B C-----";
        assert_eq!(read(text), [("A".to_owned(), b"aa".to_vec()), ("B C".to_owned(), b"b".to_vec())]);
    }

    #[test]
    fn what_is_not_whole_is_passed_over() {
        let whole = "-----BEGIN B-----\nYg==\n-----END B-----\n";
        let b = [("B".to_owned(), b"b".to_vec())];
        for broken in [
            "-----BEGIN A-----\nYg==\n",
            "-----BEGIN A-----\nYg==\n-----END C-----\n",
            "-----BEGIN A-----\nY!==\n-----END A-----\n",
            "-----BEGIN A-----\nYg==\n-----END A----- x\n",
            " -----BEGIN A-----\nYg==\n-----END A-----\n",
            "-----BEGIN A-----\nname: value\n-----END A-----\n",
            "-----BEGIN A-----\nYg==\n-----END A-----\r \n",
        ] {
            assert_eq!(read(&format!("{broken}{whole}")), b, "{broken:?}");
        }
        assert!(read("-----BEGIN A-----\nYg==\n").is_empty());
    }

    #[test]
    fn a_block_is_written_with_headers_and_in_lines_of_64_columns() {
        let mut block = Block::new("A", vec![0; 50]);
        let text = format!("-----BEGIN A-----\n{}\n{}==\n-----END A-----\n", "A".repeat(64), "A".repeat(2));
        assert_eq!(*block.encode(), text.replace("AA==", "AAA="));
        block.headers.insert("b".to_owned(), "c".to_owned());
        block.bytes.clear();
        assert_eq!(*block.encode(), "-----BEGIN A-----\nb: c\n\n-----END A-----\n");
        assert_eq!(blocks(block.encode().as_bytes()).0[0].headers, block.headers);
        assert_eq!(*Block::new("A", []).encode(), "-----BEGIN A-----\n-----END A-----\n");
        assert_eq!(read("-----BEGIN A-----\n-----END A-----\n"), [("A".to_owned(), Vec::new())]);
    }
}
