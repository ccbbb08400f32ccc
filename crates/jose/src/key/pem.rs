//! PEM (RFC 7468), parsed as leniently as section 2 requires: white space is allowed anywhere in a block, and text
//! before and after it. A line break may also be written `\n`, as in a PEM that is stored in one line.
//!
//! Invariant: parsing takes time linear in the text. A bounded number of bytes is searched for each label, however many
//! blocks begin in the text.

use super::KeyError;

/// The beginning of every PEM block.
pub(crate) const BEGIN: &str = "-----BEGIN";
const DASHES: &str = "-----";
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// How many bytes after [`BEGIN`] are searched for the end of a label. The longest label in use has 30 bytes.
const LONGEST_LABEL: usize = 64;

/// One block of a text.
pub(crate) struct Block<'t> {
    /// The label, such as `PUBLIC KEY`.
    pub(crate) label: &'t str,
    /// The decoded content.
    pub(crate) der: Vec<u8>,
}

/// Whether a block labelled as a private key begins in the text, even a malformed one.
pub(crate) fn has_private_key(text: &str) -> bool {
    text.match_indices(BEGIN)
        .any(|(at, _)| is_private_key(&text[at + BEGIN.len()..]))
}

fn is_private_key(after_begin: &str) -> bool {
    let label = bounded(after_begin.as_bytes());
    let label = label.split(|byte| matches!(byte, b'\n' | b'\r')).next();
    label.is_some_and(|label| contains(label, PRIVATE_KEY))
}

/// Parses the first block that is labelled as a private key.
pub(crate) fn private_block(text: &str) -> Result<Block<'_>, KeyError> {
    let mut blocks = text.match_indices(BEGIN).map(|(at, _)| &text[at..]);
    let private = blocks.find(|text| is_private_key(&text[BEGIN.len()..]));
    first_block(private.ok_or(KeyError::NotPrivate)?)
}

/// Parses the first block.
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
