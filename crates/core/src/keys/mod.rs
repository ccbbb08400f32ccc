//! Signing keys: rows of the database, sealed by a master key, that follow one another.
//!
//! Invariants: a key has one purpose and one algorithm, and is derived from no other key. It is published before it
//! signs, and it verifies until the last token that it signed has expired. Keys that were retired stay retired, also
//! when the database goes back.

mod change;
mod key;
mod outside;
mod plan;
mod ring;
mod seal;
mod store;

use std::fmt;
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use keyward_jose::Algorithm;

pub use self::change::Parts;
pub use self::key::{Chain, Key};
pub use self::outside::{Legacy, LegacyKeys, MasterKeys};
pub use self::ring::{Keys, Ring};
pub use self::seal::{MasterId, MasterKey, Sealed};
pub use self::store::{KeyChange, Store, StoredKey, StoredRing};
use crate::clock::Timestamp;
use crate::error::Fault;
use crate::random::{self, Random};
use crate::secret::SecretText;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Signs the access tokens of every contract but the notary's.
    Access,
    /// Signs refresh tokens.
    Refresh,
    /// Signs the tokens of the notary.
    Notary,
    /// Hides the names of clients from the Redis that counts rate limits.
    Limits,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Access, Self::Refresh, Self::Notary, Self::Limits];

    /// The name, in the store and for operators.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Notary => "notary",
            Self::Limits => "limits",
        }
    }

    /// The purpose with exactly this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// Whether the schedule rotates keys of this purpose. Clients of the notary hold its key, and a new key of the
    /// limits begins every count anew.
    #[must_use]
    pub const fn is_scheduled(self) -> bool {
        matches!(self, Self::Access | Self::Refresh)
    }
}

/// The id of a key. It is random, and never 0, which stands for a key of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(i64);

impl Kid {
    /// The id of a key that the settings give.
    pub const OF_SETTINGS: Self = Self(0);

    /// Draws an id.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        Self(i64::from_be_bytes(random::bytes(random)) | 1)
    }

    /// The id that is stored as `number`.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u64::from_str_radix(text, 16).ok())??;
        Some(Self(number.cast_signed()))
    }
}

impl fmt::Display for Kid {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The settings of the keys.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The algorithm of access tokens: HS256, HS384 or HS512.
    pub algorithm: Algorithm,
    /// The key of access tokens, if it is set; its UTF-8 bytes are the HMAC key. Otherwise the ring has it.
    pub access: Option<SecretText>,
    /// The notary's key, likewise.
    pub notary: Option<SecretText>,
    /// The longest lifetime of an access token.
    pub access_lifetime: Duration,
    /// The longest lifetime of a refresh token.
    pub refresh_lifetime: Duration,
    /// How long a new key is published before it signs.
    pub announce: Duration,
    /// The age at which a key is replaced; `None` turns the schedule off.
    pub rotate_every: Option<Duration>,
}

impl Policy {
    fn of_settings(&self, purpose: Purpose) -> Option<&SecretText> {
        match purpose {
            Purpose::Access => self.access.as_ref(),
            Purpose::Notary => self.notary.as_ref(),
            Purpose::Refresh | Purpose::Limits => None,
        }
    }

    fn algorithm(&self, purpose: Purpose) -> Algorithm {
        match purpose {
            Purpose::Access => self.algorithm,
            Purpose::Notary => Algorithm::HS512,
            Purpose::Refresh | Purpose::Limits => Algorithm::HS256,
        }
    }

    fn lifetime(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Access => self.access_lifetime,
            Purpose::Refresh => self.refresh_lifetime,
            Purpose::Notary | Purpose::Limits => Duration::ZERO,
        }
    }
}

/// What a key does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It verifies, and will sign.
    Announced,
    /// It signs and verifies.
    Active,
    /// It signs no more, and verifies what it signed.
    Retired,
    /// It neither signs nor verifies.
    Ended,
}

impl State {
    /// The name for operators.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Ended => "ended",
        }
    }
}

/// An error of the keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is shorter than its algorithm's hash (RFC 7518 §3.2).
    #[error("the {} key is too short", .0.name())]
    Weak(Purpose, #[source] keyward_jose::hmac::Error),
    /// Two purposes have one key, so a token of one purpose would verify as one of the other.
    #[error("the key of access tokens and the notary's key are the same: set two different keys")]
    Same,
    /// No master key at hand opens the key.
    #[error(
        "the key {kid} of the database is sealed by the master key {master}, which is not in {place}: copy the \
         master key file of a server that has it, or see \"Keys\" in docs/operations.md if it is lost"
    )]
    Locked {
        /// The key.
        kid: Kid,
        /// The id of the master key that sealed it.
        master: MasterId,
        /// Where master keys were looked for.
        place: String,
    },
    /// The sealed bytes are not those that were stored for this key.
    #[error(
        "the row of the key {0} was changed: restore the database from a backup, or see \"Keys\" in docs/operations.md"
    )]
    Altered(Kid),
    /// There is no such key.
    #[error("there is no key {0}: see `keyward keys list`")]
    Unknown(Kid),
    /// The settings give the key of this purpose.
    #[error("the settings give the {} key: change it there", .0.name())]
    OfSettings(Purpose),
    /// Too many keys of one purpose verify.
    #[error(
        "{most} {} keys still verify what they signed, and no more may: retire one, or wait until {until}",
        .purpose.name(), most = Chain::LARGEST, until = .until.rfc3339_millis()
    )]
    TooMany {
        /// Their purpose.
        purpose: Purpose,
        /// When the next of them ends.
        until: Timestamp,
    },
    /// Other processes changed the keys all the time.
    #[error("the keys are being changed by another process: try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl From<Unspecified> for Error {
    fn from(error: Unspecified) -> Self {
        Self::Store(Fault::Internal(error.into()))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(fault) => fault,
            // Until an operator has mended it, nobody can tell whether a token is good.
            other => Self::Unavailable(other.into()),
        }
    }
}
