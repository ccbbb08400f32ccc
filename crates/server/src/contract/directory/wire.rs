//! The names of the directory contract on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::member::Member;
use crate::list::Row;
use crate::schemas::{DisplayName, EmailAddress, Password, null};

/// The text in place of a password or hash that the replaced service returned.
const HIDDEN: &str = "********";

/// A new user.
#[derive(Deserialize, ToSchema)]
pub(super) struct SignUpRequest {
    /// The name of the person.
    #[serde(default)]
    #[schema(value_type = DisplayName, required = true)]
    pub(super) name: Member,
    /// Unique among e-mail addresses and usernames.
    #[serde(default)]
    #[schema(value_type = EmailAddress, required = true)]
    pub(super) email: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) password: Member,
}

/// The envelope of a sign-up.
#[derive(Serialize, ToSchema)]
pub(super) struct SignUpResponse {
    /// The HTTP status.
    #[schema(example = 201)]
    pub(super) code: u16,
    /// The registered user.
    pub(super) data: Registered,
    /// `successfully registered`.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
    /// Whether it worked.
    pub(super) status: bool,
}

/// The registered user.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    email: String,
    name: String,
    #[schema(value_type = String, example = "********")]
    password: &'static str,
}

impl Registered {
    pub(super) fn hiding(email: String, name: String) -> Self {
        Self {
            email,
            name,
            password: HIDDEN,
        }
    }
}

/// A login by e-mail address.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginRequest {
    /// The e-mail address.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    pub(super) email: Member,
    /// The password.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) password: Member,
}

/// The envelope of a login, right or wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryLoginResponse)]
pub(crate) struct LoginResponse {
    /// The HTTP status.
    #[schema(example = 201)]
    pub(super) code: u16,
    /// The credentials of the request, without the password.
    pub(super) data: EmailAndPassword,
    /// The outcome.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
    /// Whether it worked.
    pub(super) status: bool,
    /// The access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

/// The credentials of a login.
#[derive(Serialize, ToSchema)]
pub(super) struct EmailAndPassword {
    email: String,
    #[schema(value_type = String, example = "********")]
    password: &'static str,
}

impl EmailAndPassword {
    pub(super) fn hiding(email: String) -> Self {
        Self {
            email,
            password: HIDDEN,
        }
    }
}

/// The text before and after the rows of the users.
pub(super) const USERS: [&str; 2] = [r#"{"users":["#, "]}"];

/// The users, without an envelope.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "the list is written row by row; this describes it"
)]
pub(super) struct UsersResponse {
    users: Vec<User>,
}

impl Row for User {
    type Json = Self;

    fn weight(&self) -> usize {
        size_of::<Self>() + self.email.len()
    }

    fn into_json(self) -> Self {
        self
    }
}

/// A user with an e-mail address.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    #[schema(example = "user1@gmail.com")]
    pub(super) email: String,
    #[schema(example = 1)]
    pub(super) id: i64,
}

/// The envelope of an error.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryErrorResponse)]
pub(crate) struct ErrorResponse {
    /// The HTTP status.
    #[schema(example = 400)]
    pub(super) code: u16,
    /// Always `null`.
    #[schema(schema_with = null)]
    pub(super) data: (),
    /// What is wrong.
    pub(super) message: String,
    /// Always `false`.
    #[schema(example = false)]
    pub(super) status: bool,
}
