//! The principal of a verified access token.
//!
//! Invariant: a [`Subject`] is one that an account can have. The `sub` claim is parsed once, after the signature was
//! verified, so no later code meets an empty or malformed `sub`.

use std::fmt;

use crate::accounts::Realm;
use crate::accounts::names::{self, Name};
use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};
use crate::keys::Kid;
use crate::sessions::Tag;

/// The principal of a verified access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub subject: Subject,
    /// The session the token belongs to.
    pub session: SessionId,
    /// The key that signed the token.
    pub key: Kid,
    /// The tag of the database that issued the token, if it carries one.
    pub tag: Option<Tag>,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// The account that a token names in `sub`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An account of realm `default`, by its id.
    Account(AccountId),
    /// An operator of the file exchange, by its username.
    Operator(Name),
    /// A client of the file exchange, by its username.
    Client(Name),
}

impl Subject {
    /// The subject that a token of `realm` names; `None` when no account of the realm could have that `sub`.
    pub(super) fn parse(realm: Realm, sub: &str) -> Option<Self> {
        match realm {
            Realm::Default => parse_id(sub).map(Self::Account),
            Realm::Ops => names::exchange_username(sub).ok().map(Self::Operator),
            Realm::Client => names::exchange_username(sub).ok().map(Self::Client),
        }
    }

    /// The realm of the account.
    #[must_use]
    pub const fn realm(&self) -> Realm {
        match self {
            Self::Account(_) => Realm::Default,
            Self::Operator(_) => Realm::Ops,
            Self::Client(_) => Realm::Client,
        }
    }
}

impl fmt::Display for Subject {
    /// As in `sub`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(f),
            Self::Operator(name) | Self::Client(name) => f.write_str(&name.key),
        }
    }
}

/// Parses a positive number without sign, blanks and leading zeros.
fn parse_id(sub: &str) -> Option<AccountId> {
    let canonical = sub.bytes().all(|byte| byte.is_ascii_digit()) && !sub.starts_with('0');
    let id = canonical.then(|| sub.parse().ok())??;
    Some(AccountId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_is_an_id_in_one_spelling_or_a_username_that_an_account_may_have() {
        for (sub, id) in [
            ("1", Some(1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("", None),
            (" ", None),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1 ", None),
            ("1\0", None),
            ("1.0", None),
            ("1e0", None),
            ("0x1", None),
            ("١", None),
            ("abc", None),
        ] {
            let expected = id.map(|id| Subject::Account(AccountId(id)));
            assert_eq!(Subject::parse(Realm::Default, sub), expected, "{sub:?}");
        }
        for (sub, good) in [
            ("ops", true),
            ("1", true),
            ("A.b_c-d", true),
            ("", false),
            (" ", false),
            ("ops ", false),
            (".ops", false),
            ("a/b", false),
            ("é", false),
            (&"a".repeat(65), false),
        ] {
            for realm in [Realm::Ops, Realm::Client] {
                let subject = Subject::parse(realm, sub);
                assert_eq!(subject.is_some(), good, "{sub:?}");
                if let Some(subject) = subject {
                    assert_eq!(subject.realm(), realm);
                    assert_eq!(subject.to_string(), sub);
                }
            }
        }
    }
}
