//! The names of the native API on the wire.

use keyward_core::accounts::Account;
use keyward_core::id::SessionId;
use keyward_core::sessions::Session;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::member::Member;
use crate::list::Row;
use crate::schemas::Password;

/// Who calls.
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
    /// What the person is called.
    #[schema(required = true)]
    name: Option<String>,
    /// UTC, with milliseconds.
    #[schema(format = DateTime)]
    created_at: String,
    /// The session of the token presented.
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

/// A change of password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    /// The present one.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) current_password: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) new_password: Member,
}

/// A login that still stands.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionResponse {
    /// The `sid` of its tokens.
    #[schema(example = 1)]
    id: i64,
    /// When the login was.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was refreshed last.
    #[schema(format = DateTime)]
    refreshed_at: String,
    /// When its last token ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What the client called itself.
    #[schema(required = true)]
    user_agent: Option<String>,
    /// Whether it is that of the token presented.
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
