//! The operations of the directory.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{LINK, VARY};
use http::{HeaderMap, StatusCode};
use keyward_core::accounts::{self, Account, Accounts, Realm, SignUp, names};
use keyward_core::tokens::TokenSet;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Directory, Error, sign_up_error, verification_failed};
use super::wire::{
    EmailAndPassword, ErrorResponse, LoginRequest, LoginResponse, Registered, SignUpRequest,
    SignUpResponse, USERS, User, UsersResponse,
};
use crate::error::Failure;
use crate::extract::bearer::{Credential, access_token_or_bearer};
use crate::extract::client::Client;
use crate::extract::guard::{Authorized, Scope};
use crate::extract::invitation::Invitation;
use crate::extract::json::Json;
use crate::extract::member::Member;
use crate::extract::query::{PageParameters, Query, next_link};
use crate::limits::{Limit, Limits};
use crate::list;
use crate::memory::MemoryAccount;
use crate::password_login::{Attempt, Form, LoginError, NameRule};
use crate::responses::{Guarded, Limited, Queries, Takes, Writes};
use crate::state::App;
use crate::welcome::{self, Page};

/// The routes. A browser gets `page` at `/`.
pub(super) fn routes(page: Page) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(connected))
        .layer(Extension(page))
        .routes(routes!(sign_up))
        .routes(routes!(users))
}

/// `POST /login`, if the vector generator does not share it.
pub(super) fn login_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log_in_alone))
}

/// Confirms that the directory runs. A browser gets the welcome page.
#[utoipa::path(
    get, path = "/", tag = "directory",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
    ),
)]
async fn connected(Extension(page): Extension<Page>, headers: HeaderMap) -> Response {
    if welcome::is_wanted(&headers) {
        return page.into_response();
    }
    ([(VARY, "Accept")], "flask rest connected").into_response()
}

/// Registers a user by e-mail address.
#[utoipa::path(
    post, path = "/signup", tag = "directory", request_body = SignUpRequest,
    params(("X-Invitation" = Option<String>, Header, description = "The code of an invitation, where accounts.sign_up asks for one")),
    responses(
        (status = 201, body = SignUpResponse),
        (status = 403, description = "Sign-up is closed, or by invitation", body = ErrorResponse),
        (status = 409, body = ErrorResponse),
        Takes<Directory>, Limited<Directory>, Writes<Directory>,
    ),
)]
async fn sign_up(
    State(accounts): State<Accounts>,
    State(limits): State<Arc<Limits>>,
    client: Client,
    invitation: Invitation,
    Json(body, ..): Json<SignUpRequest, Directory>,
) -> Result<Response, Error> {
    limits
        .count(Limit::SignUpsPerAddress, client.address)
        .await?;
    let request = parse_sign_up(body)?;
    let (email, name) = (request.email.clone(), request.display_name.clone());
    let signed_up = accounts.sign_up(request, invitation.code()).await;
    signed_up.map_err(sign_up_error)?;
    let body = SignUpResponse {
        code: StatusCode::CREATED.as_u16(),
        data: Registered::hiding(
            email.map_or_else(String::new, |name| name.shown),
            name.unwrap_or_default(),
        ),
        message: "successfully registered",
        status: true,
    };
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// Logs in by e-mail address.
#[utoipa::path(
    post, path = "/login", tag = "directory", request_body = LoginRequest,
    responses(
        (status = 201, body = LoginResponse),
        (status = 403, body = LoginResponse),
        Takes<Directory>, Limited<Directory>, Writes<Directory>,
    ),
)]
async fn log_in_alone(
    State(app): State<App>,
    client: Client,
    Json(body, ..): Json<LoginRequest, Directory>,
) -> Result<Response, Error> {
    log_in(&app, client, body.email, body.password).await
}

/// Logs in by e-mail address, after the body was read.
pub(crate) async fn log_in(
    app: &App,
    client: Client,
    email: Member,
    password: Member,
) -> Result<Response, Error> {
    let form = Form {
        realm: Realm::Default,
        rule: NameRule::Email,
        name: email,
        password,
    };
    let attempt = Attempt::begin(app, client, form).await?;
    let typed = attempt.typed.clone();
    let issued = match attempt.finish(app, TokenSet::Access).await {
        Ok(issued) => issued,
        Err(LoginError::BadCredentials) => return Ok(verification_failed(typed)),
        Err(LoginError::Failed(failure)) => return Err(failure.into()),
    };
    let body = LoginResponse {
        code: StatusCode::CREATED.as_u16(),
        data: EmailAndPassword::hiding(typed),
        message: "verification success",
        status: true,
        token: Some(issued.access_token),
    };
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// Lists the users that have an e-mail address, by id.
#[utoipa::path(
    get, path = "/users", tag = "directory",
    params(PageParameters),
    security(("x-access-token" = []), ("bearer" = [])),
    responses(
        (status = 200, body = UsersResponse),
        Guarded<Directory>, Queries<Directory>,
    ),
)]
async fn users(
    State(accounts): State<Accounts>,
    MemoryAccount(account): MemoryAccount,
    caller: Authorized<Users, Query>,
) -> Result<Response, Error> {
    let page = caller.head.page()?;
    let listed = accounts.list_with_email(page).await?;
    let users: Vec<User> = listed.items.into_iter().filter_map(user).collect();
    let users = stream::iter([Ok::<_, accounts::Error>(users)]);
    let mut response = list::list(USERS, users, &account).await?;
    if let Some(link) = listed
        .next
        .and_then(|next| next_link("/users", page.limit, next))
    {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// The accounts that may list the users.
struct Users;

impl Scope for Users {
    type Shape = Directory;
    const REALMS: &'static [Realm] = &[Realm::Default];

    fn credential(headers: &HeaderMap) -> Credential<'_> {
        access_token_or_bearer(headers)
    }
}

fn user(account: Account) -> Option<User> {
    Some(User {
        email: account.email?,
        id: account.id.0,
    })
}

fn parse_sign_up(body: SignUpRequest) -> Result<SignUp, Failure> {
    let email = names::email(&body.email.required("email")?)
        .map_err(|error| Failure::bad_request(format!("email {error}")))?;
    let name = body.name.required("name")?;
    if name.trim().is_empty() || name.chars().count() > 255 || name.contains('\0') {
        let message = "name must be 1 to 255 characters, not blank and without NUL";
        return Err(Failure::bad_request(message));
    }
    Ok(SignUp {
        realm: Realm::Default,
        username: None,
        email: Some(email),
        display_name: Some(name),
        password: body.password.password()?,
    })
}
