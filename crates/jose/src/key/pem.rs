//! PEM (RFC 7468), read as laxly as its section 2 asks of parsers: white space anywhere in a block, text
//! before and after it. A line break may also be spelled `\n`, as it is where a PEM is kept in one line.
//!
//! Invariant: reading takes time linear in the text. Of each label a bounded number of bytes is looked at,
//! however many blocks a text begins.

use super::KeyError;

/// What every PEM block begins with.
pub(crate) const BEGIN: &str = "-----BEGIN";
const DASHES: &str = "-----";
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// How many bytes after [`BEGIN`] are searched for the end of a label. The longest label in use has 30.
const LONGEST_LABEL: usize = 64;

/// One block of a text.
pub(crate) struct Block<'t> {
    /// What the block says it holds, such as `PUBLIC KEY`.
    pub(crate) label: &'t str,
    /// The bytes it holds.
    pub(crate) der: Vec<u8>,
}

/// Whether the text begins a block that is labelled as a private key, however malformed the block is.
pub(crate) fn has_private_key(text: &str) -> bool {
    text.match_indices(BEGIN).any(|(at, _)| {
        let label = bounded(&text.as_bytes()[at + BEGIN.len()..]);
        let label = label.split(|byte| matches!(byte, b'\n' | b'\r')).next();
        label.is_some_and(|label| contains(label, PRIVATE_KEY))
    })
}

/// Reads the first block.
pub(crate) fn first_block(text: &str) -> Result<Block<'_>, KeyError> {
    block(text).ok_or(KeyError::Malformed)
}

fn block(text: &str) -> Option<Block<'_>> {
    let (_, rest) = text.split_once(BEGIN)?;
    let rest = rest.strip_prefix(' ')?;
    let length = bounded(rest.as_bytes())
        .windows(DASHES.len())
        .position(|part| part == DASHES.as_bytes())?;
    let (label, rest) = rest.split_at(length);
    let (body, end) = rest.strip_prefix(DASHES)?.split_once(DASHES)?;
    let end = end.strip_prefix("END ")?.strip_prefix(label)?;
    if !end.starts_with(DASHES) {
        return None;
    }
    let der = base64_simd::STANDARD.decode_to_vec(without_space(body));
    Some(Block {
        label,
        der: der.ok()?,
    })
}

/// The base64 of a block without its white space (RFC 7468 §3, `W`).
fn without_space(body: &str) -> Vec<u8> {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C);
    let plain = |body: &str| body.bytes().filter(|byte| !space(byte)).collect();
    if body.contains('\\') {
        return plain(&body.replace("\\r", "").replace("\\n", ""));
    }
    plain(body)
}

fn bounded(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(LONGEST_LABEL)]
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
