//! Keys of our own for verifying: each is bound to one algorithm and has one `kid`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::KeyError;
use super::hmac::HmacKey;
use super::jwk::Jwk;
use super::public::PublicKey;
use crate::{Algorithm, base64url};

/// The longest `kid`, in bytes.
pub(crate) const LONGEST_KID: usize = 256;

/// A public key, or an HMAC secret, that verifies the signatures of one algorithm. A clone shares the key.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Arc<str>,
    thumbprint: Arc<str>,
    material: Arc<Material>,
}

enum Material {
    Secret(Box<HmacKey>),
    /// The key, and the members of its JWK.
    Public(PublicKey, String),
}

impl VerifyingKey {
    /// Parses a JWK (RFC 7517) of type `RSA`, `EC` or `OKP`, or a secret of type `oct`.
    ///
    /// The key's algorithm is its `alg`. Where there is none, it is `algorithm`, or the only one of its curve; an RSA
    /// key and a secret must be given one. An `algorithm` other than that of the key is refused. A key without `kid` is
    /// named by its thumbprint.
    pub fn from_jwk(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::of_jwk(&Jwk::parse(text)?, algorithm)
    }

    pub(crate) fn of_jwk(jwk: &Jwk<'_>, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let key = if jwk.is("kty", "oct") {
            let bound = jwk.bound_algorithm()?.or(algorithm);
            if algorithm.is_some_and(|algorithm| bound != Some(algorithm)) {
                return Err(KeyError::OtherUse);
            }
            let secret = Zeroizing::new(jwk.bytes("k")?);
            Self::secret(bound.ok_or(KeyError::NoAlgorithm)?, &secret)?
        } else {
            Self::public(PublicKey::of_jwk(jwk)?, algorithm)?
        };
        match jwk.kid()? {
            Some(kid) => key.with_kid(&kid),
            None => Ok(key),
        }
    }

    /// Parses a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7). An RSA key must be given an algorithm. The key is named by
    /// its thumbprint.
    pub fn from_spki_der(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::public(PublicKey::from_spki_der(der)?, algorithm)
    }

    /// Parses a PEM as [`PublicKey::from_pem`] does. An RSA key must be given an algorithm. The key is named by its
    /// thumbprint.
    pub fn from_pem(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::public(PublicKey::from_pem(text)?, algorithm)
    }

    pub(crate) fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let members = secret_members(secret);
        let material = Material::Secret(Box::new(HmacKey::new(algorithm, secret)?));
        Ok(Self::new(algorithm, thumbprint(&members), material))
    }

    pub(crate) fn public(key: PublicKey, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let algorithm = key.choose(algorithm)?;
        let members = key.members().ok_or(KeyError::Unsupported)?;
        let thumbprint = thumbprint(&members);
        let material = Material::Public(key, members);
        Ok(Self::new(algorithm, thumbprint, material))
    }

    fn new(algorithm: Algorithm, thumbprint: Arc<str>, material: Material) -> Self {
        Self {
            algorithm,
            kid: thumbprint.clone(),
            thumbprint,
            material: Arc::new(material),
        }
    }

    /// The same key under another name: 1 to 256 bytes.
    pub fn with_kid(mut self, kid: &str) -> Result<Self, KeyError> {
        if kid.is_empty() || kid.len() > LONGEST_KID {
            return Err(KeyError::Kid);
        }
        self.kid = kid.into();
        Ok(self)
    }

    /// The only algorithm that this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key. Unless another one was given, it is the thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The SHA-256 thumbprint of the key (RFC 7638, and RFC 8037 §2 for Ed25519), in base64url. That of a secret lets
    /// whoever sees it test guesses of the secret, as a token does.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether `signature` is the signature of `message` under this key and its algorithm: for ECDSA, the two numbers
    /// of RFC 7518 §3.4; for PSS, with a salt as long as the hash.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &*self.material {
            Material::Secret(key) => key.verifies(message, signature),
            Material::Public(key, _) => key.verifies(self.algorithm, message, signature),
        }
    }

    /// The secret of an HMAC algorithm.
    pub(crate) fn hmac(&self) -> Option<&HmacKey> {
        match &*self.material {
            Material::Secret(key) => Some(key),
            Material::Public(..) => None,
        }
    }

    /// The public key as a JWK with `use`, `alg` and `kid`, in one line. `None` for a secret, which is never published.
    pub fn to_public_jwk(&self) -> Option<String> {
        match &*self.material {
            Material::Secret(_) => None,
            Material::Public(_, members) => Some(format!("{{{members},{}}}", self.labels())),
        }
    }

    /// The members `use`, `alg` and `kid` of the JWK.
    pub(crate) fn labels(&self) -> String {
        let kid = serde_json::Value::from(&*self.kid);
        format!(
            r#""use":"sig","alg":"{}","kid":{kid}"#,
            self.algorithm.name()
        )
    }

    /// The members of the public key's JWK; `None` for a secret.
    pub(crate) fn public_members(&self) -> Option<&str> {
        match &*self.material {
            Material::Secret(_) => None,
            Material::Public(_, members) => Some(members),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The thumbprint of a key with these members, which are in the order of RFC 7638 §3.3.
fn thumbprint(members: &str) -> Arc<str> {
    let text = Zeroizing::new(format!("{{{members}}}"));
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    base64url::encode(hash).into()
}

/// The members of a secret's JWK, in the order of RFC 7638 §3.3.
pub(crate) fn secret_members(secret: &[u8]) -> Zeroizing<String> {
    let k = member("k", secret);
    Zeroizing::new(format!(r#"{},"kty":"oct""#, *k))
}

/// A private member of a JWK.
pub(crate) fn member(name: &str, bytes: &[u8]) -> Zeroizing<String> {
    let value = Zeroizing::new(base64url::encode(bytes));
    Zeroizing::new(format!(r#""{name}":"{}""#, *value))
}
