//! Listing and fetching an operator's files.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use keyward_core::accounts::{Realm, names};
use keyward_core::clock::Timestamp;
use keyward_core::error::{Code, Fault};
use keyward_core::files::{self, File, Files};
use keyward_core::hex;
use keyward_core::id::AccountId;
use keyward_core::memory::{Account, FREE};
use keyward_core::tokens::{Principal, Subject};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::disposition::attachment;
use super::error::{Error, Exchange};
use super::wire::{FILES, FilesResponse};
use crate::conditional::{EntityTag, Selection, Validators, Verdict, evaluate, http_date, select};
use crate::error::{Failure, PROBLEM, Problem, ProblemDocument, Shape as _};
use crate::extract::guard::{Authorized, GuardError, Scope};
use crate::list;
use crate::memory::{MemoryAccount, keep};
use crate::responses::{Conditional, Finds, Guarded};
use crate::state::App;

/// How often a file is looked up again if it was replaced between reading its row and its bytes.
const TRIES: usize = 5;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(fetch))
}

/// Lists the files of an operator.
#[utoipa::path(
    get, path = "/client/files/{ops_username}", tag = "exchange",
    params(("ops_username" = String, Path, description = "The operator")),
    security(("bearer" = [])),
    responses(
        (status = 200, body = FilesResponse),
        (status = 403, description = "Another operator's token", body = ProblemDocument, content_type = PROBLEM),
        (status = 404, description = "There is no such operator", body = ProblemDocument, content_type = PROBLEM),
        Guarded<Problem>,
    ),
)]
async fn list(
    State(app): State<App>,
    MemoryAccount(account): MemoryAccount,
    caller: Authorized<Readers, Result<Path<String>, PathRejection>>,
) -> Result<Response, Error> {
    let username = caller.head.ok().map(|Path(username)| username);
    let operator = find_operator(&app, &caller.principal, username.as_deref()).await?;
    Ok(list::list(FILES, app.files.list(operator), &account).await?)
}

/// Fetches a file of an operator, or the part of it that `Range` names.
#[utoipa::path(
    method(get, head), path = "/client/files/{ops_username}/{file_name}", tag = "exchange",
    params(
        ("ops_username" = String, Path, description = "The operator"),
        ("file_name" = String, Path, description = "The file"),
        ("Range" = Option<String>, Header, description = "One range of bytes; of several, the whole is sent"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "*/*"),
        (status = 206, description = "The part that Range names", body = Vec<u8>, content_type = "*/*"),
        (status = 304, description = "The client has it already"),
        (status = 403, description = "Another operator's token", body = ProblemDocument, content_type = PROBLEM),
        (status = 416, body = ProblemDocument, content_type = PROBLEM),
        Guarded<Problem>, Finds<Problem>, Conditional<Problem>,
    ),
)]
async fn fetch(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    MemoryAccount(account): MemoryAccount,
    caller: Authorized<Readers, Result<Path<(String, String)>, PathRejection>>,
) -> Result<Response, Error> {
    let names = caller.head.ok().map(|Path(names)| names);
    let username = names.as_ref().map(|(username, _)| username.as_str());
    let operator = find_operator(&app, &caller.principal, username).await?;
    let (_, name) = names.unwrap_or_default();
    let mut tries = 1..TRIES;
    loop {
        let file = app.files.find(operator, &name).await?;
        match send(&app.files, &method, &headers, &file, &account).await {
            Err(files::Error::Unknown) if tries.next().is_some() => {}
            sent => return Ok(sent?),
        }
    }
}

/// The accounts that may read files: clients, and operators their own files.
struct Readers;

impl Scope for Readers {
    type Shape = Exchange;
    const REALMS: &'static [Realm] = &[Realm::Client, Realm::Ops];
}

/// The operator of that name, if the caller is a client or that operator. A name that cannot be decoded names none.
async fn find_operator(
    app: &App,
    principal: &Principal,
    username: Option<&str>,
) -> Result<AccountId, Failure> {
    if let Subject::Operator(own) = &principal.subject {
        if username != Some(&*own.key) {
            return Err(Exchange::refuse(GuardError::OtherRealm(Realm::Ops)));
        }
        let account = app.tokens.account(principal).await;
        return Ok(account.map_err(|error| Exchange::refuse(error.into()))?.id);
    }
    let username = username.ok_or_else(|| {
        let message =
            "a name in the path is not UTF-8 once its escapes are decoded: nothing is called so";
        Failure::coded(Code::NotFound, message)
    })?;
    let unknown = || Failure::coded(Code::UnknownAccount, "there is no such operator");
    let name = names::exchange_username(username).map_err(|_| unknown())?;
    let account = app.accounts.find_by_name(Realm::Ops, &name).await?;
    Ok(account.ok_or_else(unknown)?.id)
}

/// The file, a range of it, or the response that a condition of the request demands.
async fn send(
    files: &Files,
    method: &Method,
    headers: &HeaderMap,
    file: &File,
    account: &Account,
) -> Result<Response, files::Error> {
    let current = Validators {
        tag: EntityTag::strong(hex::encode(&file.sha256)),
        modified: file.uploaded_at,
    };
    match evaluate(method, headers, &current) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(not_modified(file, &current, files.now())),
        Verdict::Failed => return Ok(stale()),
    }
    let (status, range) = match select(method, headers, &current, file.size) {
        Selection::Whole => (StatusCode::OK, 0..file.size),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Selection::Unsatisfiable => return Ok(unsatisfiable(file.size)),
    };
    let length = range.end - range.start;
    let body = match *method == Method::HEAD || length == 0 {
        true => Body::empty(),
        false => bytes(files, file, range.clone(), account).await?,
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    validate(headers, &current, files.now());
    describe(headers, file);
    headers.insert(CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end - 1;
        put(
            headers,
            CONTENT_RANGE,
            &format!("bytes {}-{last}/{}", range.start, file.size),
        );
    }
    Ok(response)
}

/// The bytes of a range. They count in the memory budget until the client has taken them.
async fn bytes(
    files: &Files,
    file: &File,
    range: Range<u64>,
    account: &Account,
) -> Result<Body, files::Error> {
    let length = range.end - range.start;
    if length <= FREE as u64 {
        return Ok(Body::from_stream(files.open(file, range).await?));
    }
    let ahead = length.min(files.read_ahead());
    let reservation = account.reserve_soon(ahead).await.map_err(Fault::from)?;
    let reservation = Arc::new(reservation);
    let chunks = files.open(file, range).await?;
    let chunks = chunks.map_ok(move |chunk| keep(chunk, &reservation));
    Ok(Body::from_stream(chunks))
}

/// The headers of every response with a file. A file that replaced another in the same second counts as modified in the
/// next second, so `Last-Modified` is left out until that has begun (RFC 9110 §8.8.2.1).
fn validate(headers: &mut HeaderMap, current: &Validators, now: Timestamp) {
    headers.insert(ETAG, current.tag.to_header());
    put(
        headers,
        LAST_MODIFIED,
        &http_date(current.modified.min(now)),
    );
}

/// The type of the bytes, and headers that keep a browser from running them: the type is only the uploader's claim.
fn describe(headers: &mut HeaderMap, file: &File) {
    let content_type = HeaderValue::from_str(&file.content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_DISPOSITION, attachment(&file.name));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; frame-ancestors 'none'"),
    );
}

fn not_modified(file: &File, current: &Validators, now: Timestamp) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    validate(response.headers_mut(), current, now);
    // Only the length of the whole file may be sent here (RFC 9110 §8.6).
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, file.size.into());
    response
}

fn stale() -> Response {
    let message = "the file is not as the request expects it";
    Error::from(Failure::new(StatusCode::PRECONDITION_FAILED, message)).into_response()
}

fn unsatisfiable(size: u64) -> Response {
    let message = format!("no byte of that range is there: the file has {size}");
    let failure = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, message);
    let mut response = Error::from(failure).into_response();
    put(
        response.headers_mut(),
        CONTENT_RANGE,
        &format!("bytes */{size}"),
    );
    response
}

/// Sets a header to a text of visible ASCII.
fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
