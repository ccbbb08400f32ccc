//! Errors of PostgreSQL, and their translation for the caller.
//!
//! Invariant: no value of a row reaches the log. PostgreSQL's DETAIL, which may quote a whole row, is left out.

use std::error::Error as StdError;
use std::fmt::Write as _;

use keyward_core::error::{Fault, Source};
use tokio_postgres::error::SqlState;

/// What to do if a pooler shares the sessions of its clients.
pub(super) const SHARED: &str =
    "a pooler gives each transaction another session, set pool_mode=session";

/// Why work on a connection failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The database answered with an error, or the connection failed.
    #[error("{}", describe(.0))]
    Database(tokio_postgres::Error),
    /// The server takes no writes and lags behind the one that does.
    #[error(
        "the database server is a standby (in recovery): name the primary, or several hosts with \
         target_session_attrs=read-write"
    )]
    Standby,
    /// A row contains a value that this program cannot have written.
    #[error("{0}")]
    Broken(&'static str),
}

/// The error of the driver is not exposed as a source, because its text may quote a row.
impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl Error {
    /// Whether the same work may succeed when it is run again. PostgreSQL reports deadlocks this way, and distributed
    /// engines report ordinary conflicts this way.
    pub(super) fn is_retryable(&self) -> bool {
        self.code().is_some_and(|code| {
            matches!(
                *code,
                SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED
            )
        })
    }

    /// Whether the connection must not be used again: it is broken, or its server is read-only.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Broken(_) => false,
            Self::Standby => true,
            Self::Database(error) => {
                error
                    .code()
                    .is_none_or(|code| *code == SqlState::READ_ONLY_SQL_TRANSACTION)
                    || self.is_of_others()
            }
        }
    }

    /// Whether a statement that this connection prepared is unknown, known before it was prepared, or another one: the
    /// connection has another session now. A pooler was set to that while servers ran.
    pub(super) fn is_of_others(&self) -> bool {
        self.code().is_some_and(|code| {
            matches!(
                *code,
                SqlState::INVALID_SQL_STATEMENT_NAME
                    | SqlState::DUPLICATE_PSTATEMENT
                    | SqlState::PROTOCOL_VIOLATION
            )
        })
    }

    /// Whether the error is a violation of that unique constraint.
    pub(super) fn violates(&self, constraint: &str) -> bool {
        match self {
            Self::Database(error) => error.as_db_error().is_some_and(|error| {
                *error.code() == SqlState::UNIQUE_VIOLATION
                    && error.constraint() == Some(constraint)
            }),
            Self::Broken(_) | Self::Standby => false,
        }
    }

    /// The SQLSTATE, if the database itself answered.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Database(error) => error.code(),
            Self::Broken(_) | Self::Standby => None,
        }
    }

    pub(super) fn into_fault(self) -> Fault {
        let source = Source::from(self.to_string());
        let error = match &self {
            Self::Database(error) => error,
            Self::Standby => return Fault::Unavailable(source),
            Self::Broken(_) => return Fault::Internal(source),
        };
        let Some(code) = error.code() else {
            return if is_connection_failure(error) {
                Fault::Unavailable(source)
            } else {
                Fault::Internal(source)
            };
        };
        // Class 08: connection, 53: resources, 57: operator intervention, 40: rolled back.
        if self.is_of_others() {
            return Fault::Unavailable(format!("{source}: {SHARED}").into());
        }
        match (code.code(), code.code().get(..2)) {
            ("53100", _) => Fault::Full(source),
            ("25006" | "25P03" | "55P03", _) | (_, Some("08" | "28" | "40" | "53" | "57")) => {
                Fault::Unavailable(source)
            }
            _ => Fault::Internal(source),
        }
    }
}

/// Whether the connection failed, as opposed to the conversion of a value.
fn is_connection_failure(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || error
            .source()
            .is_some_and(<dyn StdError>::is::<std::io::Error>)
}

/// The text for the log: severity, message, SQLSTATE and constraint, without DETAIL.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    let Some(refused) = error.as_db_error() else {
        let mut text = error.to_string();
        if let Some(source) = error.source() {
            let source = source.to_string();
            if !text.contains(&source) {
                text = format!("{text}: {source}");
            }
        }
        return text;
    };
    let mut text = format!("{}: {}", refused.severity(), refused.message());
    _ = write!(text, " (SQLSTATE {}", refused.code().code());
    if let Some(constraint) = refused.constraint() {
        _ = write!(text, ", constraint {constraint}");
    }
    text.push(')');
    text
}
