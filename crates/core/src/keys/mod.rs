//! The signing keys: random at the first start, and separate for the notary and for access tokens.
//!
//! Invariant: a key is bound to one purpose. Refresh tokens are signed under a key derived from the login key, so a
//! service that has the login key to check access tokens cannot accept a refresh token by mistake.

mod store;

use keyward_jose::{Algorithm, HmacKey};

pub use self::store::Store;
use crate::error::Fault;
use crate::random::{self, Random};
use crate::secret::SecretText;

/// The purpose of a stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signs the access tokens of every contract but the notary's.
    Login,
    /// Signs the tokens of the notary.
    Notary,
}

impl Purpose {
    /// The name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Notary => "notary",
        }
    }
}

/// An error of loading the keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The login key is shorter than its algorithm's hash (RFC 7518 §3.2).
    #[error("the {0} key is too short")]
    Weak(&'static str, #[source] keyward_jose::hmac::Error),
    /// Both keys are the same, so a token of one purpose would verify as one of the other.
    #[error("the login key and the notary's key are the same: set two different keys")]
    Same,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

/// The keys of this server, prepared once.
pub struct Keys {
    login: HmacKey,
    refresh: HmacKey,
    notary: HmacKey,
}

/// The settings of the keys.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The algorithm of access tokens: HS256, HS384 or HS512.
    pub algorithm: Algorithm,
    /// The login key, if it is set; its UTF-8 bytes are the HMAC key. Otherwise a random key is made and stored.
    pub login: Option<SecretText>,
    /// The notary's key, likewise.
    pub notary: Option<SecretText>,
}

impl Keys {
    /// Takes the keys that are set, and reads those that are not from the store, which makes missing ones.
    ///
    /// # Errors
    /// [`Error::Weak`] and [`Error::Same`] for keys that must not be used, [`Error::Store`].
    pub async fn load(
        policy: Policy,
        store: &dyn Store,
        random: &dyn Random,
    ) -> Result<Self, Error> {
        let login = given_or_kept(policy.login, Purpose::Login, store, random).await?;
        let notary = given_or_kept(policy.notary, Purpose::Notary, store, random).await?;
        if login == notary {
            return Err(Error::Same);
        }
        Self::prepare(
            policy.algorithm,
            login.expose().as_bytes(),
            notary.expose().as_bytes(),
        )
    }

    fn prepare(algorithm: Algorithm, login: &[u8], notary: &[u8]) -> Result<Self, Error> {
        let weak = |name| move |error| Error::Weak(name, error);
        let login = HmacKey::new(algorithm, login).map_err(weak("login"))?;
        let derived = login.sign(b"keyward refresh token key v1");
        let mut refresh = derived.as_ref().to_vec();
        refresh.resize(64, 0);
        Ok(Self {
            refresh: HmacKey::new(Algorithm::HS256, &refresh).map_err(weak("refresh"))?,
            notary: HmacKey::new(Algorithm::HS512, notary).map_err(weak("notary"))?,
            login,
        })
    }

    /// The key of access tokens.
    #[must_use]
    pub fn access_token_key(&self) -> &HmacKey {
        &self.login
    }

    /// The key of refresh tokens.
    #[must_use]
    pub fn refresh(&self) -> &HmacKey {
        &self.refresh
    }

    /// The key of the notary, HS512.
    #[must_use]
    pub fn notary(&self) -> &HmacKey {
        &self.notary
    }
}

/// A key is stored as a text of 128 hex characters. Its ASCII bytes are the HMAC key, as in the notary contract.
async fn given_or_kept(
    given: Option<SecretText>,
    purpose: Purpose,
    store: &dyn Store,
    random: &dyn Random,
) -> Result<SecretText, Error> {
    match given {
        Some(key) => Ok(key),
        None => {
            let fresh = SecretText::new(random::hex::<64>(random));
            Ok(store.find_or_create_key(purpose, fresh).await?)
        }
    }
}
