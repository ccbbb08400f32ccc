//! What every capability's error is made of: a [`Code`] that programs match, the [`Kind`] from which an edge derives
//! its status, and the [`Fault`]s of a store.
//!
//! Invariant: the public part and the cause are kept apart. An error's text never repeats its source, so [`chain`]
//! says everything once.

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

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $Code:ident = $name:literal: $kind:ident; )+) => {
        /// What went wrong, as a word that stays the same: programs match the word, people read the message.
        ///
        /// One list for all edges; docs/errors.md explains each code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $( $(#[doc = $doc])+ $Code, )+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$Code),+];

            /// The word itself, such as `name_taken`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Code => $name),+
                }
            }

            /// The word as a URN: the `type` of a problem document (RFC 9457 §3.1.1).
            #[must_use]
            pub const fn urn(self) -> &'static str {
                match self {
                    $(Self::$Code => concat!("urn:keyward:error:", $name)),+
                }
            }

            /// The meaning an edge answers with.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$Code => Kind::$kind),+
                }
            }
        }
    };
}

codes! {
    /// The request is not well formed or breaks a rule (RFC 6749 §5.2).
    InvalidRequest = "invalid_request": Invalid;
    /// The token to check is not a well-formed JWS.
    MalformedToken = "malformed_token": Invalid;
    /// A private key was sent where a secret or a public key belongs.
    PrivateKey = "private_key": Invalid;
    /// The name or the password is wrong.
    BadCredentials = "bad_credentials": Unauthenticated;
    /// The request carries no token.
    MissingToken = "missing_token": Unauthenticated;
    /// The token is malformed, forged, expired, revoked or meant for something else (RFC 6750 §3.1).
    InvalidToken = "invalid_token": Unauthenticated;
    /// A good token of a realm that may not do this.
    WrongRealm = "wrong_realm": Forbidden;
    /// A good credential that does not allow this (RFC 6749 §4.1.2.1).
    AccessDenied = "access_denied": Forbidden;
    /// Nobody may sign up in this realm.
    SignUpClosed = "sign_up_closed": Forbidden;
    /// Signing up in this realm needs a good invitation.
    InvitationRequired = "invitation_required": Forbidden;
    /// Nothing is served at the path.
    NotFound = "not_found": NotFound;
    /// There is no such account.
    UnknownAccount = "unknown_account": NotFound;
    /// There is no such open session of the caller.
    UnknownSession = "unknown_session": NotFound;
    /// There is no such customer.
    UnknownCustomer = "unknown_customer": NotFound;
    /// There is no such file.
    UnknownFile = "unknown_file": NotFound;
    /// The path does not take the method.
    MethodNotAllowed = "method_not_allowed": Invalid;
    /// The body came too slowly, or the upload took too long.
    RequestTimeout = "request_timeout": Invalid;
    /// The request contradicts what is there.
    Conflict = "conflict": Conflict;
    /// The name belongs to an account already.
    NameTaken = "name_taken": Conflict;
    /// The operator has a file of that name already.
    FileExists = "file_exists": Conflict;
    /// A precondition of the request does not hold.
    PreconditionFailed = "precondition_failed": Stale;
    /// The request is larger than allowed.
    TooLarge = "too_large": TooLarge;
    /// The body is of a media type or an encoding that the path does not take.
    UnsupportedMediaType = "unsupported_media_type": Invalid;
    /// No byte of the range is there.
    RangeNotSatisfiable = "range_not_satisfiable": Invalid;
    /// A rate limit is reached.
    RateLimited = "rate_limited": Unavailable;
    /// The server cannot answer now (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable": Unavailable;
    /// The server has no room left.
    StorageFull = "storage_full": Full;
    /// The operator has as many files as one may have.
    TooManyFiles = "too_many_files": Full;
    /// The files of the operator would have more bytes than they may.
    QuotaExceeded = "quota_exceeded": Full;
    /// The uploads under way have as many bytes as they may.
    TooManyUploads = "too_many_uploads": Full;
    /// The server failed (RFC 6749 §4.1.2.1).
    ServerError = "server_error": Internal;
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
    /// The code an edge answers with.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unavailable(_) => Code::TemporarilyUnavailable,
            Self::Full(_) => Code::StorageFull,
            Self::Internal(_) => Code::ServerError,
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

/// An error with all its causes in one line, for the log. A cause whose text the error before it repeats, as some
/// libraries do, is not said twice.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Self>>);

    impl fmt::Display for Layer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn a_chain_has_every_cause_once() {
        let disk = Layer("no space left", None);
        let engine = Layer("cannot write: no space left", Some(disk.into()));
        let fault = Fault::Full(Layer("commit", Some(engine.into())).into());
        assert_eq!(
            chain(&fault),
            "the store is full: commit: cannot write: no space left"
        );
        assert_eq!(chain(&Layer("alone", None)), "alone");
    }

    #[test]
    fn a_code_is_one_word_in_snake_case_that_no_other_code_has() {
        let mut names = HashSet::new();
        for code in Code::ALL {
            let name = code.name();
            let words = name.split('_');
            let fine = words
                .into_iter()
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(fine && names.insert(name), "{name}");
            assert_eq!(code.urn(), format!("urn:keyward:error:{name}"));
        }
    }
}
