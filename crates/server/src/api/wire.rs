//! The request and response bodies of the native API.

use keyward_core::accounts::Account;
use keyward_core::id::SessionId;
use keyward_core::sessions::Session;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::member::Member;
use crate::list::Row;
use crate::schemas::Password;

/// The account of the caller.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountResponse {
    #[schema(example = 1)]
    id: i64,
    /// `default`, `ops` or `client`.
    #[schema(value_type = String, example = "default")]
    realm: &'static str,
    /// As typed at sign-up.
    #[schema(required = true, example = "test")]
    username: Option<String>,
    /// As typed at sign-up.
    #[schema(required = true)]
    email: Option<String>,
    /// The display name.
    #[schema(required = true)]
    name: Option<String>,
    /// UTC, with milliseconds.
    #[schema(format = DateTime)]
    created_at: String,
    /// The session of the token in the request.
    #[schema(example = 1)]
    session_id: i64,
}

impl AccountResponse {
    pub(super) fn new(account: Account, session: SessionId) -> Self {
        Self {
            id: account.id.0,
            realm: account.realm.name(),
            username: account.username,
            email: account.email,
            name: account.display_name,
            created_at: account.created_at.rfc3339_millis(),
            session_id: session.0,
        }
    }
}

/// A password change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    /// The current password.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) current_password: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) new_password: Member,
}

/// An open session.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionResponse {
    /// The id, which is the `sid` of its tokens.
    #[schema(example = 1)]
    id: i64,
    /// The time of the login.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last refresh.
    #[schema(format = DateTime)]
    refreshed_at: String,
    /// The time at which its last token expires.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The `User-Agent` of the client at the login.
    #[schema(required = true)]
    user_agent: Option<String>,
    /// Whether this is the session of the token in the request.
    current: bool,
}

impl Row for SessionResponse {
    type Json = Self;

    fn weight(&self) -> usize {
        let times = [&self.created_at, &self.refreshed_at, &self.expires_at].map(String::len);
        let user_agent = self.user_agent.as_ref().map_or(0, String::len);
        size_of::<Self>() + times.iter().sum::<usize>() + user_agent
    }

    fn into_json(self) -> Self {
        self
    }
}

impl SessionResponse {
    pub(super) fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id.0,
            created_at: session.created_at.rfc3339_millis(),
            refreshed_at: session.refreshed_at.rfc3339_millis(),
            expires_at: session.expires_at.rfc3339_millis(),
            user_agent: session.user_agent,
            current: session.id == current,
        }
    }
}
