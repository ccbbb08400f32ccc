//! The names of the customers contract on the wire.

use keyward_core::customers::{Customer, Submitted};
use keyward_core::tokens::Issued;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Failure;
use crate::extract::member::Member;
use crate::list::Row;
use crate::schemas::{BirthDate, CustomerName, Password};

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomersLoginRequest)]
pub(super) struct LoginRequest {
    /// A username or an e-mail address.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, example = "test")]
    pub(super) username: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) password: Member,
}

/// An access token and the refresh token that renews it.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenPairResponse {
    /// A JWT.
    access_token: String,
    /// Works once, for a new pair.
    refresh_token: String,
    /// Always `Bearer`.
    #[schema(value_type = String, pattern = "^Bearer$", example = "Bearer")]
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    #[schema(example = 600)]
    expires_in: u64,
}

impl From<Issued> for TokenPairResponse {
    fn from(issued: Issued) -> Self {
        Self {
            access_token: issued.access_token,
            refresh_token: issued.refresh_token.unwrap_or_default(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
        }
    }
}

/// A new customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCustomerRequest {
    /// 1 to 255 characters.
    #[serde(default)]
    #[schema(value_type = CustomerName, required = true)]
    name: Member,
    /// The date of birth, not in the future.
    #[serde(default)]
    #[schema(value_type = BirthDate, required = true)]
    dob: Member,
    /// Any RFC 3339 time; the time of the request where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, example = "2020-07-08T12:55:49.930Z")]
    updated_at: Member,
}

impl NewCustomerRequest {
    pub(super) fn submitted(self) -> Result<Submitted, Failure> {
        submitted(self.name, self.dob, self.updated_at)
    }
}

/// The new values of a customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerRequest {
    /// The same id as in the path, or absent.
    #[schema(example = 1, read_only)]
    id: Option<i64>,
    /// 1 to 255 characters.
    #[serde(default)]
    #[schema(value_type = CustomerName, required = true)]
    name: Member,
    /// The date of birth, not in the future.
    #[serde(default)]
    #[schema(value_type = BirthDate, required = true)]
    dob: Member,
    /// Any RFC 3339 time; the time of the request where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, example = "2020-07-08T12:55:49.930Z")]
    updated_at: Member,
}

impl CustomerRequest {
    /// The values for the customer `id`.
    pub(super) fn submitted(self, id: i64) -> Result<Submitted, Failure> {
        if self.id.is_some_and(|sent| sent != id) {
            return Err(Failure::bad_request(
                "id must be that of the path, or absent",
            ));
        }
        submitted(self.name, self.dob, self.updated_at)
    }
}

fn submitted(name: Member, dob: Member, updated_at: Member) -> Result<Submitted, Failure> {
    let updated_at = match updated_at {
        Member::Absent => None,
        sent => Some(sent.required("updated_at")?),
    };
    Ok(Submitted {
        name: name.required("name")?,
        dob: dob.required("dob")?,
        updated_at,
    })
}

/// A customer.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerResponse {
    #[schema(example = 1)]
    id: i64,
    #[schema(example = "Ada Lovelace")]
    name: String,
    #[schema(format = Date, example = "1815-12-10")]
    dob: String,
    /// UTC, with milliseconds.
    #[schema(format = DateTime, example = "2020-07-08T12:55:49.930Z")]
    updated_at: String,
}

impl Row for Customer {
    type Json = CustomerResponse;

    fn weight(&self) -> usize {
        size_of::<Self>() + self.details.name.len()
    }

    fn into_json(self) -> CustomerResponse {
        self.into()
    }
}

impl From<Customer> for CustomerResponse {
    fn from(Customer { id, details, .. }: Customer) -> Self {
        Self {
            id: id.0,
            name: details.name,
            dob: details.born.to_string(),
            updated_at: details.updated_at.rfc3339_millis(),
        }
    }
}
