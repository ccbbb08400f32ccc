//! The parts of every capability's error: a [`Code`] that programs match, the [`Kind`] from which an edge derives its
//! status, and the [`Fault`]s of a store.
//!
//! Invariant: the public part and the cause are kept apart. An error's text never repeats its source, so [`chain`]
//! writes each cause once.

use std::error::Error as StdError;

/// A cause that goes to the log and never to a client.
pub type Source = Box<dyn StdError + Send + Sync>;

/// The meaning of an error, from which each edge derives its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is not well formed or breaks a rule.
    Invalid,
    /// The credential is missing or not valid.
    Unauthenticated,
    /// The credential is valid but does not allow the request.
    Forbidden,
    /// The thing does not exist.
    NotFound,
    /// The request conflicts with the current state.
    Conflict,
    /// A precondition of the request does not hold.
    Stale,
    /// The request is larger than allowed.
    TooLarge,
    /// No storage is left.
    Full,
    /// Try again shortly.
    Unavailable,
    /// A defect or a broken store.
    Internal,
}

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $Code:ident = $name:literal: $kind:ident; )+) => {
        /// The stable name of an error: programs match the name, people read the message.
        ///
        /// One list for all edges; docs/errors.md explains each code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $( $(#[doc = $doc])+ $Code, )+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$Code),+];

            /// The name, such as `name_taken`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Code => $name),+
                }
            }

            /// The name as a URN: the `type` of a problem document (RFC 9457 §3.1.1).
            #[must_use]
            pub const fn urn(self) -> &'static str {
                match self {
                    $(Self::$Code => concat!("urn:keyward:error:", $name)),+
                }
            }

            /// The meaning of the code.
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
    /// The token is valid, but its realm does not allow the request.
    WrongRealm = "wrong_realm": Forbidden;
    /// The credential is valid but does not allow the request (RFC 6749 §4.1.2.1).
    AccessDenied = "access_denied": Forbidden;
    /// Nobody may sign up in this realm.
    SignUpClosed = "sign_up_closed": Forbidden;
    /// Signing up in this realm needs a valid invitation.
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
    /// The path does not support the method.
    MethodNotAllowed = "method_not_allowed": Invalid;
    /// The body came too slowly, or the upload took too long.
    RequestTimeout = "request_timeout": Invalid;
    /// The request conflicts with the current state.
    Conflict = "conflict": Conflict;
    /// The name belongs to an account already.
    NameTaken = "name_taken": Conflict;
    /// The operator has a file of that name already.
    FileExists = "file_exists": Conflict;
    /// A precondition of the request does not hold.
    PreconditionFailed = "precondition_failed": Stale;
    /// The request is larger than allowed.
    TooLarge = "too_large": TooLarge;
    /// The path does not accept the media type or the content coding of the body.
    UnsupportedMediaType = "unsupported_media_type": Invalid;
    /// The range lies beyond the end.
    RangeNotSatisfiable = "range_not_satisfiable": Invalid;
    /// A rate limit is reached.
    RateLimited = "rate_limited": Unavailable;
    /// The server cannot answer now (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable": Unavailable;
    /// The server has no room left.
    StorageFull = "storage_full": Full;
    /// The operator has the maximum number of files.
    TooManyFiles = "too_many_files": Full;
    /// The files of the operator would exceed the quota of bytes.
    QuotaExceeded = "quota_exceeded": Full;
    /// The unfinished uploads have used up their space.
    TooManyUploads = "too_many_uploads": Full;
    /// The server failed (RFC 6749 §4.1.2.1).
    ServerError = "server_error": Internal;
}

/// A failure of a store, as opposed to an outcome such as "no such account".
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store is unavailable. Nothing was done, unless it failed during the commit.
    #[error("the store cannot answer now")]
    Unavailable(#[source] Source),
    /// The store is full. Nothing was done, and reading still works.
    #[error("the store is full")]
    Full(#[source] Source),
    /// The store failed. Whether something was done is unknown unless the method says so.
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

/// An error with all its causes in one line, for the log. A cause whose text the error before it already contains, as
/// with some libraries, is written once.
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
