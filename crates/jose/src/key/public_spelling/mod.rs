//! Recognises public keys in the forms that are not parsed as keys: DER, OpenSSH and JWK, bare or in any variant of
//! base64 or hexadecimal, in quotes, in an array, with escapes, or encoded twice.
//!
//! A public key is known to everybody. If it were an HMAC secret, everybody could sign with it. Only the beginning of a
//! key is checked, so that a truncated or damaged key is recognised too. The bare 32 bytes of an Ed25519 key cannot be
//! distinguished from random bytes, and are not recognised.
//!
//! Invariant: the work is linear in the text, and a secret of random bytes is not mistaken for a key.

mod der;
mod encoding;

use aws_lc_rs::signature::{self, ParsedPublicKey};

/// The kind of key that a text contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// A public key, or a certificate or certificate request that contains one.
    Public,
    /// A private key.
    Private,
}

/// How many layers of encoding are decoded, such as the base64 of a PEM.
const ENCODINGS: usize = 2;

/// How many bytes of a text are searched. No key in use is as long, and the first of several keys is enough.
const LONGEST: usize = 64 * 1024;

/// The shortest text that can contain a key: every key type has at least 24 bytes, which are 32 characters of base64.
const SHORTEST: usize = 32;

/// The first words of OpenSSH public keys (RFC 4253 §6.6, RFC 5656, RFC 8709, OpenSSH's PROTOCOL.u2f).
const OPENSSH_TYPES: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// How many bytes after `BEGIN` are searched for a PEM label.
const LONGEST_LABEL: usize = 40;

/// Words, without white space, that occur only in other notations of a key: .NET's XML and the output of `openssl`.
const NOTATIONS: [&str; 5] = [
    "<Modulus>",
    "Modulus:",
    "Modulus=",
    "RSAKeyValue",
    "ASN1OID:",
];

/// The values of `kty` in a JWK.
const KEY_TYPES: [&str; 5] = ["RSA", "EC", "OKP", "AKP", "oct"];

/// The length of a point on P-521, in bytes.
const LONGEST_POINT: usize = 133;

/// The kind of key that the text contains, if any.
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

/// Finds a PEM label, a JWK or a printed key in a text without white space and quotes.
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

/// The kind of a JWK in the text, by its `kty` and whether it has a `d`.
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

/// The kind of key with which base64 or hexadecimal in the text begins.
fn encoded_head(text: &str) -> Option<Spelled> {
    encoding::base64_heads(text)
        .find_map(|head| der::binary(&head))
        .or_else(|| encoding::hex_heads(text).find_map(|head| der::binary(&head)))
}

/// Whether the whole text encodes an uncompressed curve point (SEC 1 §2.3.3), as keys of Web Push do.
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
