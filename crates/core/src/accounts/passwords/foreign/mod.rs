//! Password hashes of other services, read and matched so that accounts move over with their old ones.
//!
//! Invariants: reading caps every cost, so matching never takes more than the caps allow; derived bytes
//! are compared in constant time. Whatever matches is to be made anew.

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

/// A hash of another service, taken apart.
pub(super) struct Stored(Kind);

enum Kind {
    Derived(Derived),
    Digest(Digest),
    Bcrypt(Bcrypt),
    ShaCrypt(ShaCrypt),
}

/// Reads a hash of any format known here; `None` for malformed, unknown and too costly ones. `stored`
/// must be ASCII.
pub(super) fn read(stored: &str) -> Option<Stored> {
    werkzeug::read(stored)
        .or_else(|| passlib::read(stored))
        .or_else(|| django::read(stored))
        .or_else(|| bcrypt::read(stored, bcrypt::Key::Password).map(Kind::Bcrypt))
        .or_else(|| sha_crypt::read(stored).map(Kind::ShaCrypt))
        .map(Stored)
}

impl Stored {
    /// The blocks that Argon2 fills in about the time that a check takes, by measurement. It is never more than the
    /// truth by much, so that a check is not topped up too little.
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
