//! Recognises binary keys by their first bytes: the ASN.1 of X.509 and PKCS, and OpenSSH's blobs.

use super::Spelled;

/// The prefixes of the key types in OpenSSH's blobs (RFC 4253 §6.6, RFC 5656, RFC 6187, PROTOCOL.u2f).
const BLOB_TYPES: [&[u8]; 5] = [b"ssh-", b"ecdsa-sha2-", b"sk-", b"x509v3-", b"rsa-sha2-"];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

/// The object identifier of PKCS #7, a container of certificates: 1.2.840.113549.1.7.
const PKCS_7: [u8; 8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07];
/// The shortest modulus that is recognised, in bytes.
const LEAST_MODULUS: usize = 64;

/// The kind of key that the bytes begin with, if any. The bytes may be truncated.
pub(super) fn binary(bytes: &[u8]) -> Option<Spelled> {
    match bytes {
        [SEQUENCE, ..] => sequence(bytes),
        [0, 0, 0, length @ 4..=64, name @ ..] => {
            let name = &name[..name.len().min(usize::from(*length))];
            let is_known = BLOB_TYPES.iter().any(|known| name.starts_with(known));
            is_known.then_some(Spelled::Public)
        }
        _ => bytes
            .starts_with(b"openssh-key-v1")
            .then_some(Spelled::Private),
    }
}

/// An ASN.1 element, which may be truncated.
struct Element<'b> {
    tag: u8,
    /// The length that the element states; `usize::MAX` for the indefinite length of BER.
    length: usize,
    /// The bytes after the tag and the length: the value and whatever follows it.
    value: &'b [u8],
}

impl<'b> Element<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, value) = match first {
            0..=0x7F => (usize::from(*first), rest),
            // The indefinite length of BER.
            0x80 => (usize::MAX, rest),
            0x81..=0x84 => {
                let (length, value) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let number = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
                (length.iter().fold(0, number), value)
            }
            _ => return None,
        };
        Some(Self {
            tag: *tag,
            length,
            value,
        })
    }

    fn within(self, outer: &Element<'_>) -> Option<Self> {
        (self.length < outer.length || outer.length == usize::MAX).then_some(self)
    }

    /// The tag of the element after this one.
    fn next_tag(&self) -> Option<u8> {
        self.value.get(self.length).copied()
    }
}

fn sequence(bytes: &[u8]) -> Option<Spelled> {
    let outer = Element::read(bytes)?;
    let first = Element::read(outer.value)?.within(&outer)?;
    match first.tag {
        SEQUENCE => {
            let inner = Element::read(first.value)?.within(&first)?;
            let known = match inner.tag {
                // The algorithm of a `SubjectPublicKeyInfo`.
                OBJECT_IDENTIFIER => is_registered(&inner),
                // The version of a certificate.
                VERSION => inner.value.starts_with(&[INTEGER, 1]),
                // The serial number of an old certificate, or the version of a request.
                INTEGER => (1..=33).contains(&inner.length) && inner.next_tag() == Some(SEQUENCE),
                _ => false,
            };
            known.then_some(Spelled::Public)
        }
        // The version of a private key (PKCS #1, PKCS #8 or SEC 1).
        INTEGER if first.length == 1 && *first.value.first()? <= 3 => {
            let private = matches!(first.next_tag()?, INTEGER | OCTET_STRING | SEQUENCE);
            private.then_some(Spelled::Private)
        }
        // The modulus of an `RSAPublicKey`, whose first bit is always set.
        INTEGER if first.length > LEAST_MODULUS => {
            let is_modulus = matches!(first.value, [0, 0x80..=0xFF, ..]);
            is_modulus.then_some(Spelled::Public)
        }
        OBJECT_IDENTIFIER => first.value.starts_with(&PKCS_7).then_some(Spelled::Public),
        _ => None,
    }
}

/// Whether an object identifier lies under 1.2, 1.3, 2.5 or 2.16, where algorithms are registered.
fn is_registered(identifier: &Element<'_>) -> bool {
    (3..=20).contains(&identifier.length)
        && matches!(identifier.value.first(), Some(0x2A | 0x2B | 0x55 | 0x60))
}
