//! Password hashes of other services, so that imported accounts keep their passwords.
//!
//! Invariants: parsing caps every cost, so a check never takes more work than the caps allow; derived bytes are
//! compared in constant time. The caller replaces a hash that matched.

mod bcrypt;
mod derived;
mod digest;
mod django;
mod passlib;
mod sha_crypt;
mod werkzeug;

use self::bcrypt::Bcrypt;
use self::derived::Derived;
use self::digest::Digest;
use self::sha_crypt::ShaCrypt;

/// A parsed hash of another service.
pub(super) struct Stored(Kind);

enum Kind {
    Derived(Derived),
    Digest(Digest),
    Bcrypt(Bcrypt),
    ShaCrypt(ShaCrypt),
}

/// Parses a hash of any supported format. Returns `None` if it is malformed, unknown or too costly. `stored` must be
/// ASCII.
pub(super) fn read(stored: &str) -> Option<Stored> {
    werkzeug::read(stored)
        .or_else(|| passlib::read(stored))
        .or_else(|| django::read(stored))
        .or_else(|| bcrypt::read(stored, bcrypt::Key::Password).map(Kind::Bcrypt))
        .or_else(|| sha_crypt::read(stored).map(Kind::ShaCrypt))
        .map(Stored)
}

impl Stored {
    /// The number of blocks that Argon2 fills in about the time of a check, as measured. The number is never much too
    /// high, because a check with too high a number would be topped up too little.
    pub(super) fn work(&self) -> u64 {
        match &self.0 {
            Kind::Derived(stored) => stored.work(),
            // Microseconds.
            Kind::Digest(_) => 0,
            Kind::Bcrypt(stored) => stored.work(),
            Kind::ShaCrypt(stored) => stored.work(),
        }
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match &self.0 {
            Kind::Derived(stored) => stored.matches(password),
            Kind::Digest(stored) => stored.matches(password),
            Kind::Bcrypt(stored) => stored.matches(password),
            Kind::ShaCrypt(stored) => stored.matches(password),
        }
    }
}

#[cfg(test)]
mod tests;
