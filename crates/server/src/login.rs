//! `POST /login`, which two contracts share. A body with `email` belongs to the directory, and one with `username` to
//! the vectors contract. Any other body is answered in the shape of the directory, which has all members of the other
//! shape.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::contract::Contracts;
use crate::contract::directory::{self, Directory};
use crate::contract::vectors;
use crate::error::{Failure, Shape, Shaped};
use crate::extract::client::Client;
use crate::extract::json::Json;
use crate::extract::member::Member;
use crate::responses::{Limited, Takes, Writes};
use crate::router::Assembly;
use crate::schemas::{Password, null};
use crate::state::App;

/// A login by e-mail address (directory) or by username (vectors).
#[derive(Deserialize)]
struct LoginRequest {
    #[serde(default)]
    email: Member,
    #[serde(default)]
    username: Member,
    #[serde(default)]
    password: Member,
}

/// [`LoginRequest`] for the OpenAPI document: one of the names, and `null` counts as absent.
#[derive(ToSchema)]
#[schema(as = LoginRequest)]
#[serde(untagged)]
#[expect(dead_code, reason = "`LoginRequest` is read; this describes it")]
enum LoginByEither {
    /// A login by e-mail address, which the directory answers.
    ByEmail {
        /// The e-mail address.
        #[schema(example = "test@gmail.com")]
        email: String,
        #[schema(schema_with = null, required = false)]
        username: (),
        #[schema(value_type = Password)]
        password: String,
    },
    /// A login by username, which the vector generator answers.
    ByUsername {
        #[schema(schema_with = null, required = false)]
        email: (),
        /// The username.
        #[schema(min_length = 1, example = "new_user")]
        username: String,
        #[schema(value_type = Password)]
        password: String,
    },
}

/// The shape of failures here, which is that of the directory. That of the vectors contract has only the message.
pub(crate) struct Either;

/// The members of failures in both contracts.
#[derive(ToSchema)]
#[schema(as = LoginFailureResponse)]
#[expect(dead_code, reason = "the contracts write it; this describes it")]
pub(crate) struct EitherFailure {
    /// The error message.
    message: String,
    /// The HTTP status, from the directory.
    #[schema(value_type = u16, required = false)]
    code: (),
    /// `null`, from the directory.
    #[schema(schema_with = null, required = false)]
    data: (),
    /// `false`, from the directory.
    #[schema(value_type = bool, required = false)]
    status: (),
}

impl Shape for Either {
    type Body = EitherFailure;

    fn render(failure: &Failure) -> Response {
        Directory::render(failure)
    }
}

/// Adds `POST /login`: that of one contract, or the shared one if both contracts are switched on.
pub(crate) fn add(all: &mut Assembly, contracts: Contracts) {
    let mut forms = contracts.served().filter_map(|contract| contract.login);
    match (forms.next(), forms.next()) {
        (Some(only), None) => only(all),
        (Some(_), Some(_)) => all.add::<Either>(OpenApiRouter::new().routes(routes!(log_in))),
        (None, _) => {}
    }
}

/// Logs in by e-mail address (directory, 201) or by username (vectors, 200).
#[utoipa::path(
    post, path = "/login", tags = ["directory", "vectors"], request_body = LoginByEither,
    responses(
        (status = 200, description = "By username", body = vectors::LoginResponse),
        (status = 201, description = "By e-mail address", body = directory::LoginResponse),
        (status = 401, description = "By username: wrong", body = vectors::MessageResponse),
        (status = 403, description = "By e-mail address: wrong", body = directory::LoginResponse),
        Takes<Either>, Limited<Either>, Writes<Either>,
    ),
)]
async fn log_in(
    State(app): State<App>,
    client: Client,
    Json(body, ..): Json<LoginRequest, Either>,
) -> Response {
    let LoginRequest {
        email,
        username,
        password,
    } = body;
    match (email.is_present(), username.is_present()) {
        (true, false) => directory::log_in(&app, client, email, password)
            .await
            .into_response(),
        (false, true) => vectors::log_in(&app, client, username, password)
            .await
            .into_response(),
        _ => {
            let message = "send either email or username, with password";
            Shaped::<Either>::from(Failure::bad_request(message)).into_response()
        }
    }
}
