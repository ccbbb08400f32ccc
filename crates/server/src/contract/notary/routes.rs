//! The notary's operations.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use keyward_core::notary::{self, LONGEST_DATA, Notary};
use serde::de::DeserializeOwned;
use utoipa::openapi::{RefOr, Required};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{
    Error, Notary as Shape, content_coding, invalid_content_type, missing_signing_key,
    missing_token,
};
use super::large;
use super::wire::{
    ErrorResponse, GenerateRequest, GenerateResponse, VerifyRequest, VerifyResponse,
    generate_response, verify_response,
};
use crate::address::ClientAddress;
use crate::answer;
use crate::error::Failure;
use crate::extract::json::{self, Collected};
use crate::extract::member::Member;
use crate::limits::Limit;
use crate::memory::hold;
use crate::responses::{Limited, Reads};
use crate::state::App;

/// The largest body, in bytes: enough for the longest text with every byte escaped, and for the token made from it.
const LARGEST_BODY: usize = 1024 * 1024;

pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .routes(routes!(generate))
        .routes(routes!(verify))
        .routes(routes!(verify_by_post));
    // Without a body the response is 202, which is a response of the contract.
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::False);
            }
        }
    }
    routes
}

/// Signs a string into a JWT.
#[utoipa::path(
    post, path = "/generateToken", tag = "notary", request_body = GenerateRequest,
    responses(
        (status = 200, body = GenerateResponse),
        (status = 202, body = ErrorResponse, description = "Invalid content type"),
        Reads<Shape>, Limited<Shape>,
    ),
)]
async fn generate(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, Error> {
    app.limits.count(Limit::NotaryPerAddress, address).await?;
    let body = read(&app, request).await?;
    let size = body.bytes.len();
    let notary = Arc::clone(&app.notary);
    let text = large::work(size, move || minted(&notary, &body.bytes)).await??;
    Ok(hold(answer::json(text), || app.account(address))?)
}

/// Shows a JWT's header and claims and whether the given key verifies it.
#[utoipa::path(
    get, path = "/verifyToken", tag = "notary", request_body = VerifyRequest,
    responses(
        (status = 200, body = VerifyResponse),
        (status = 202, body = ErrorResponse, description = "Invalid content type"),
        (status = 203, body = ErrorResponse, description = "Missing token in GET request body"),
        (status = 204, description = "Missing signing key: said in X-Error-Description"),
        Reads<Shape>, Limited<Shape>,
    ),
)]
async fn verify(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, Error> {
    app.limits.count(Limit::NotaryPerAddress, address).await?;
    let body = read(&app, request).await?;
    let size = body.bytes.len();
    let notary = Arc::clone(&app.notary);
    let text = large::work(size, move || verified(&notary, &body.bytes)).await??;
    Ok(hold(answer::json(text), || app.account(address))?)
}

/// The same as `GET /verifyToken`, for clients behind a proxy that drops the body of a GET.
#[utoipa::path(
    post, path = "/verifyToken", tag = "notary", request_body = VerifyRequest,
    responses(
        (status = 200, body = VerifyResponse),
        (status = 202, body = ErrorResponse, description = "Invalid content type"),
        (status = 203, body = ErrorResponse, description = "Missing token in GET request body"),
        (status = 204, description = "Missing signing key: said in X-Error-Description"),
        Reads<Shape>, Limited<Shape>,
    ),
)]
async fn verify_by_post(
    app: State<App>,
    address: ClientAddress,
    request: Request,
) -> Result<Response, Error> {
    verify(app, address, request).await
}

fn minted(notary: &Notary, body: &[u8]) -> Result<String, Error> {
    let body: GenerateRequest = parse(body)?;
    let data = body.user_data.required("user_data")?;
    let token = notary.mint(&data).map_err(mint_failure)?;
    Ok(generate_response(&token))
}

fn verified(notary: &Notary, body: &[u8]) -> Result<String, Error> {
    let body: VerifyRequest = parse(body)?;
    // Both types are checked before either member counts as missing: another type is 400 in any case.
    let (token, key) = (
        filled(body.token, "Token")?,
        filled(body.signing_key, "Signing_key")?,
    );
    let token = token.ok_or_else(missing_token)?;
    let key = key.ok_or_else(missing_signing_key)?;
    Ok(verify_response(&notary.verify_with(&key, &token)?))
}

/// The failure with the contract's name for the text, `user_data`, which core does not know.
fn mint_failure(error: notary::Error) -> Failure {
    let is_too_large = matches!(error, notary::Error::TooLarge);
    let failure = Failure::from(error);
    if is_too_large {
        return failure.with_message(format!("user_data must be at most {LONGEST_DATA} bytes"));
    }
    failure
}

/// The body, if its declared type is right.
async fn read(app: &App, request: Request) -> Result<Collected, Error> {
    match json::is_json(request.headers()) {
        Ok(true) => {}
        Ok(false) => return Err(invalid_content_type()),
        Err(coded) => return Err(content_coding(coded)),
    }
    Ok(json::collect(request, LARGEST_BODY, app).await?)
}

/// The members of a body; an empty one counts as `{}`.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = if body.is_empty() { b"{}" } else { body };
    Ok(json::parse(text)?)
}

/// The string, unless it is missing or empty.
fn filled(member: Member, name: &str) -> Result<Option<String>, Failure> {
    if !member.is_present() {
        return Ok(None);
    }
    Ok(Some(member.required(name)?).filter(|text| !text.is_empty()))
}
