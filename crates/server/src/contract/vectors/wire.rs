//! The names of the vectors contract on the wire.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::member::Member;
use crate::schemas::{Password, Username};

/// A username and a password, to register or to log in.
#[derive(Deserialize, ToSchema)]
pub(super) struct CredentialsRequest {
    /// The username.
    #[serde(default)]
    #[schema(value_type = Username, required = true)]
    pub(super) username: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) password: Member,
}

/// The access token.
#[derive(Serialize, ToSchema)]
#[schema(as = VectorsLoginResponse)]
pub(crate) struct LoginResponse {
    /// A JWT.
    pub(super) token: String,
}

/// The text from which an array is made.
#[derive(Deserialize, ToSchema)]
pub(super) struct ArrayRequest {
    /// At most 64 KiB.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, example = "This is a sample sentence")]
    pub(super) sentence: Member,
}

/// A message, of success or of an error.
#[derive(Serialize, ToSchema)]
#[schema(as = VectorsMessageResponse)]
pub(crate) struct MessageResponse {
    /// The message.
    #[schema(value_type = String)]
    pub(super) message: Cow<'static, str>,
}
