//! The signature algorithms of RFC 7518 §3, RFC 8037 and RFC 9864 that Keyward knows.
//!
//! A name is matched byte for byte. `none` and every other unlisted name is rejected.

/// A JWS signature algorithm, as named by the `alg` header parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    PS256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    PS384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// EdDSA; Keyward knows the curve Ed25519 only.
    EdDSA,
    /// EdDSA on Ed25519, under the name of RFC 9864.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm, in the order of RFC 7518 §3.1, followed by the EdDSA ones.
    pub const ALL: [Self; 14] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::Ed25519,
    ];

    /// The registered name, as it appears in a header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm with exactly this name, which is case-sensitive (RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Whether the algorithm signs and verifies with one shared secret.
    pub const fn is_hmac(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    /// The curve of an ECDSA algorithm (RFC 7518 §6.2.1.1), and the length of its coordinates and of its private keys,
    /// in bytes.
    pub(crate) const fn curve(self) -> Option<(&'static str, usize)> {
        match self {
            Self::ES256 => Some(("P-256", 32)),
            Self::ES384 => Some(("P-384", 48)),
            Self::ES512 => Some(("P-521", 66)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_algorithm() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
    }

    #[test]
    fn other_spellings_name_nothing() {
        for name in [
            "", "none", "None", "hs256", "Hs256", "HS256 ", "HS2567", "ES521", "ES256K", "Ed448",
            "ed25519", "EDDSA",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
