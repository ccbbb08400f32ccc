//! What every capability's error is made of: a [`Kind`] that an edge turns into its own shape, and
//! the [`Fault`]s a store can have. The public part and the cause are kept apart.

use std::error::Error as StdError;

/// A cause that goes to the log and never to a client.
pub type Source = Box<dyn StdError + Send + Sync>;

/// The meaning of an error, from which each edge derives its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is not well formed or breaks a rule.
    Invalid,
    /// No credential, or one that is not good.
    Unauthenticated,
    /// A good credential that does not reach this far.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The request contradicts what is there.
    Conflict,
    /// A precondition of the request does not hold.
    Stale,
    /// The request is larger than allowed.
    TooLarge,
    /// There is no room left to store it.
    Full,
    /// Try again shortly.
    Unavailable,
    /// A defect or a broken store.
    Internal,
}

/// What a store can fail with besides the outcomes of its domain.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store cannot answer now; nothing was done, unless it failed at the moment of its commit.
    #[error("the store cannot answer now")]
    Unavailable(#[source] Source),
    /// There is no room; nothing was done and reading goes on.
    #[error("the store is full")]
    Full(#[source] Source),
    /// The store failed; whether something was done is not known unless the method says so.
    #[error("the store failed")]
    Internal(#[source] Source),
}

impl Fault {
    /// The kind an edge answers with.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Full(_) => Kind::Full,
            Self::Internal(_) => Kind::Internal,
        }
    }
}
