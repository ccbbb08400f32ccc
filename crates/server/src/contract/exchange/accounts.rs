//! Signing up, logging in and logging out.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, StatusCode};
use keyward_core::accounts::{Realm, SignUp, names};
use keyward_core::tokens::{TokenSet, Tokens};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::credentials::Credentials;
use super::error::{Error, Exchange, sign_up_error, unknown_username};
use super::wire::{
    CredentialsForm, CredentialsMultipart, CredentialsRequest, MessageResponse, SignedUpResponse,
};
use crate::error::{Failure, PROBLEM, Problem, ProblemDocument, method_not_allowed};
use crate::extract::client::Client;
use crate::extract::guard::{Authorized, Scope};
use crate::extract::invitation::Invitation;
use crate::limits::Limit;
use crate::password_login::{Attempt, Form, NameRule};
use crate::responses::{Guarded, Limited, Takes, Writes};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up_operator))
        .routes(routes!(sign_up_client))
        .routes(routes!(log_in_operator))
        .routes(routes!(log_in_client))
        .routes(routes!(log_out))
}

/// The sign-up and the login of a role.
macro_rules! role {
    (
        $realm:ident,
        #[doc = $sign_up_doc:literal] $sign_up:ident $sign_up_path:literal,
        #[doc = $log_in_doc:literal] $log_in:ident $log_in_path:literal
    ) => {
        #[doc = $sign_up_doc]
        #[utoipa::path(
            post, path = $sign_up_path, tag = "exchange",
            params(("X-Invitation" = Option<String>, Header, description = "The code of an invitation, where accounts.sign_up asks for one")),
            request_body(content(
                (CredentialsForm = "application/x-www-form-urlencoded"),
                (CredentialsMultipart = "multipart/form-data"), (CredentialsRequest = "application/json"),
            )),
            responses(
                (status = 201, body = SignedUpResponse),
                (status = 403, description = "Sign-up is closed, or by invitation", body = ProblemDocument, content_type = PROBLEM),
                (status = 409, description = "The username is taken", body = ProblemDocument, content_type = PROBLEM),
                Takes<Problem>, Limited<Problem>, Writes<Problem>,
            ),
        )]
        async fn $sign_up(
            State(app): State<App>,
            client: Client,
            invitation: Invitation,
            credentials: Credentials,
        ) -> Result<Response, Error> {
            sign_up(&app, Realm::$realm, &client, &invitation, credentials).await
        }

        #[doc = $log_in_doc]
        #[utoipa::path(
            post, path = $log_in_path, tag = "exchange",
            request_body(content(
                (CredentialsForm = "application/x-www-form-urlencoded"),
                (CredentialsMultipart = "multipart/form-data"), (CredentialsRequest = "application/json"),
            )),
            responses(
                (status = 200, description = "A JWT", body = String, content_type = "text/plain"),
                (status = 401, description = "The password is wrong", body = ProblemDocument, content_type = PROBLEM),
                (status = 404, description = "There is no such username", body = ProblemDocument, content_type = PROBLEM),
                Takes<Problem>, Limited<Problem>, Writes<Problem>,
            ),
        )]
        async fn $log_in(
            State(app): State<App>,
            client: Client,
            credentials: Credentials,
        ) -> Result<Response, Error> {
            log_in(&app, Realm::$realm, client, credentials).await
        }
    };
}

role!(
    Ops,
    /// Signs an operator up.
    sign_up_operator "/ops/signup",
    /// Logs an operator in. The body of the response is the token alone.
    log_in_operator "/ops/login"
);
role!(
    Client,
    /// Signs a client up.
    sign_up_client "/client/signup",
    /// Logs a client in. The body of the response is the token alone.
    log_in_client "/client/login"
);

/// Closes the session of an access token of any realm.
#[utoipa::path(
    method(get, post), path = "/logout", tag = "exchange", security(("bearer" = [])),
    responses(
        (status = 200, body = MessageResponse),
        Guarded<Problem>, Writes<Problem>,
    ),
)]
async fn log_out(
    State(tokens): State<Tokens>,
    method: Method,
    caller: Result<Authorized<Anyone>, Response>,
) -> Result<Response, Error> {
    if method == Method::HEAD {
        // The router also calls the handler of GET for HEAD, but HEAD must not end a session.
        let refusal: Error = method_not_allowed().await;
        return Ok(([(ALLOW, "GET,POST")], refusal).into_response());
    }
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => return Ok(refusal),
    };
    tokens.log_out(&caller.principal).await?;
    let body = MessageResponse {
        message: "logged out: the token is no longer good",
    };
    Ok(axum::Json(body).into_response())
}

async fn sign_up(
    app: &App,
    realm: Realm,
    client: &Client,
    invitation: &Invitation,
    credentials: Credentials,
) -> Result<Response, Error> {
    app.limits
        .count(Limit::SignUpsPerAddress, client.address)
        .await?;
    let typed = credentials.username.required("username")?;
    let username = names::exchange_username(&typed)
        .map_err(|error| Failure::bad_request(format!("username {error}")))?;
    let request = SignUp {
        realm,
        username: Some(username),
        email: None,
        display_name: None,
        password: credentials.password.password()?,
    };
    let signed_up = app.accounts.sign_up(request, invitation.code()).await;
    signed_up.map_err(sign_up_error)?;
    let body = SignedUpResponse {
        message: "signed up: log in to get a token",
        username: typed,
    };
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

async fn log_in(
    app: &App,
    realm: Realm,
    client: Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    let form = Form {
        realm,
        rule: NameRule::ExchangeUsername,
        name: credentials.username,
        password: credentials.password,
    };
    let attempt = Attempt::begin(app, client, form).await?;
    if !attempt.is_known() {
        attempt.failed().report(app.logins());
        return Err(unknown_username().into());
    }
    let issued = attempt.finish(app, TokenSet::Access).await;
    let issued = issued.map_err(|error| error.in_words("the password is wrong"))?;
    let headers = [(CONTENT_TYPE, "text/plain")];
    Ok((headers, issued.access_token).into_response())
}

/// The accounts that may log out: those of every realm.
struct Anyone;

impl Scope for Anyone {
    type Shape = Exchange;
    const REALMS: &'static [Realm] = &Realm::ALL;
}
