//! Recognises public keys in the spellings that are not read as keys: DER, OpenSSH and JWK, bare or in
//! base64 or hexadecimal of any flavour, in quotes, in an array, with escapes, encoded twice.
//!
//! A public key is known to everybody. If it were an HMAC secret, everybody could sign with it. Only the
//! beginning of a key is looked at, so that a key that is cut short or damaged is recognised too. What
//! cannot be told from random bytes is no spelling of a key here: the 32 bytes of an Ed25519 key alone.
//!
//! Invariant: the work is linear in the text, and a secret made of random bytes is not taken for a key.

mod der;
mod encoding;

use aws_lc_rs::signature::{self, ParsedPublicKey};

/// What a text spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// A public key, or a certificate or request that holds one.
    Public,
    /// A private key.
    Private,
}

/// How many encodings may lie on top of one another, such as base64 of a PEM.
const ENCODINGS: usize = 2;

/// How much of a text is looked at, in bytes: no key in use is as long, and of several the first is enough.
const LONGEST: usize = 64 * 1024;

/// The shortest text that spells a key: no key type has fewer than 24 bytes, or 32 characters of base64.
const SHORTEST: usize = 32;

/// The first words of OpenSSH public keys (RFC 4253 §6.6, RFC 5656, RFC 8709, OpenSSH's PROTOCOL.u2f).
const OPENSSH_TYPES: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// How many characters of a frame's label are looked at.
const LONGEST_LABEL: usize = 40;

/// Words, without white space, that only the other notations of a key have: .NET's XML, and what `openssl` prints.
const NOTATIONS: [&str; 5] = [
    "<Modulus>",
    "Modulus:",
    "Modulus=",
    "RSAKeyValue",
    "ASN1OID:",
];

/// The kinds of keys that a JWK names.
const KEY_TYPES: [&str; 5] = ["RSA", "EC", "OKP", "AKP", "oct"];

/// The length of a point on P-521, in bytes.
const LONGEST_POINT: usize = 133;

/// What the text spells, if it is a key.
pub(crate) fn find(text: &str) -> Option<Spelled> {
    let text = text.trim_start_matches(encoding::is_blank);
    find_within(&text[..text.floor_char_boundary(LONGEST)], ENCODINGS)
}

fn find_within(text: &str, encodings: usize) -> Option<Spelled> {
    let word = text.trim_start_matches(|c| encoding::is_blank(c) || c == '\\');
    if OPENSSH_TYPES.iter().any(|name| word.starts_with(name)) {
        return Some(Spelled::Public);
    }
    if text.len() < SHORTEST {
        return None;
    }
    let plain = encoding::plain(text);
    let plain = plain.as_deref();
    let texts = || std::iter::once(text).chain(plain);
    mentions_key(plain.unwrap_or(text))
        .or_else(|| encoding::latin_1(text).and_then(|bytes| der::binary(&bytes)))
        .or_else(|| texts().find_map(encoded_head))
        .or_else(|| is_point(plain.unwrap_or(text)).then_some(Spelled::Public))
        .or_else(|| {
            let encodings = encodings.checked_sub(1)?;
            texts()
                .flat_map(encoding::texts)
                .find_map(|text| find_within(&text, encodings))
        })
}

/// What the text, without white space and quotes, names as only a framed key, a JWK or a printed key does.
fn mentions_key(plain: &str) -> Option<Spelled> {
    let label = |(at, begin): (usize, &str)| {
        let rest = &plain.as_bytes()[at + begin.len()..];
        let label = &rest[..rest.len().min(LONGEST_LABEL)];
        let names = |kind: &[u8]| label.windows(kind.len()).any(|part| part == kind);
        match names(b"PRIVATEKEY") {
            true => Some(Spelled::Private),
            false => (names(b"PUBLICKEY") || names(b"CERTIFICATE")).then_some(Spelled::Public),
        }
    };
    let framed = || plain.match_indices("BEGIN").find_map(label);
    let noted = || NOTATIONS.iter().any(|notation| plain.contains(notation));
    framed()
        .or_else(|| mentions_jwk(plain))
        .or_else(|| noted().then_some(Spelled::Public))
}

/// What a JWK in the text is, by its `kty` and whether it has a `d`.
fn mentions_jwk(plain: &str) -> Option<Spelled> {
    let key_type = |(at, kty): (usize, &str)| {
        let rest = &plain[at + kty.len()..];
        let value = rest.trim_start_matches([':', '=', '>']);
        let is_key_type = |name: &&&str| value.starts_with(**name);
        KEY_TYPES
            .iter()
            .find(is_key_type)
            .filter(|_| value.len() < rest.len())
    };
    let key_type = plain.match_indices("kty").find_map(key_type)?;
    let is_private = || plain.contains(",d:") || plain.contains("{d:");
    Some(match *key_type != "oct" && is_private() {
        true => Spelled::Private,
        false => Spelled::Public,
    })
}

/// What base64 or hexadecimal in the text begins.
fn encoded_head(text: &str) -> Option<Spelled> {
    encoding::base64_heads(text)
        .find_map(|head| der::binary(&head))
        .or_else(|| encoding::hex_heads(text).find_map(|head| der::binary(&head)))
}

/// Whether the whole text encodes an uncompressed point of a curve (SEC 1 §2.3.3), as Web Push has its keys.
fn is_point(plain: &str) -> bool {
    encoding::whole(plain, LONGEST_POINT).any(|bytes| {
        let scheme = match bytes.len() {
            65 => &signature::ECDSA_P256_SHA256_FIXED,
            97 => &signature::ECDSA_P384_SHA384_FIXED,
            LONGEST_POINT => &signature::ECDSA_P521_SHA512_FIXED,
            _ => return false,
        };
        bytes[0] == 4 && ParsedPublicKey::new(scheme, bytes).is_ok()
    })
}
