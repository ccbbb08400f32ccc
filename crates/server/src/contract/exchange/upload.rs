//! Uploads. The body is streamed to storage, and the file appears when it is complete.

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keyward_core::accounts::Realm;
use keyward_core::files::{FileName, Files, Upload, UploadRequest};
use keyward_core::id::{AccountId, SessionId};
use keyward_core::memory::Account;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Error, Exchange, upload_error};
use super::wire::{UploadForm, UploadedResponse};
use crate::error::{Failure, PROBLEM, Problem, ProblemDocument, Shape as _};
use crate::extract::form::multipart::{self, Form, Part};
use crate::extract::guard::{Authorized, Scope};
use crate::extract::query::Query;
use crate::memory::MemoryAccount;
use crate::responses::{Guarded, Takes, Writes};
use crate::state::App;

/// The field that holds the file.
const FIELD: &str = "request_file";
/// The longest media type that is stored.
const LONGEST_TYPE: usize = 255;
/// The type of a part that declares none, or a malformed one.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// The largest body, in bytes.
#[derive(Clone, Copy)]
struct LargestUpload(u64);

pub(super) fn routes(largest_upload: u64) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(upload))
        .layer(Extension(LargestUpload(largest_upload)))
}

/// The query of an upload.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Query` reads it; this describes it")]
struct UploadParameters {
    /// Whether an existing file of that name is replaced.
    #[param(value_type = bool, required = false, default = false)]
    overwrite: (),
}

/// Stores a file of an operator.
#[utoipa::path(
    post, path = "/ops/upload", tag = "exchange",
    params(UploadParameters),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    security(("bearer" = [])),
    responses(
        (status = 201, body = UploadedResponse),
        (status = 403, description = "A client's token", body = ProblemDocument, content_type = PROBLEM),
        (status = 409, description = "There is a file of that name", body = ProblemDocument, content_type = PROBLEM),
        Guarded<Problem>, Takes<Problem>, Writes<Problem>,
    ),
)]
async fn upload(
    State(app): State<App>,
    Extension(LargestUpload(largest)): Extension<LargestUpload>,
    MemoryAccount(memory): MemoryAccount,
    caller: Authorized<Uploads, Query, Request>,
) -> Result<Response, Error> {
    let Authorized {
        principal,
        head: query,
        body,
        ..
    } = caller;
    let account = app.tokens.account(&principal).await;
    let uploader = Uploader {
        account: account.map_err(|error| Exchange::refuse(error.into()))?.id,
        session: principal.session,
    };
    let overwrite = query.flag("overwrite")?;
    let (parts, body) = body.into_parts();
    let form = Form::read(&parts.headers, body, largest)?;
    let _parser = memory.reserve_soon(multipart::MEMORY).await?;
    let target = Target {
        uploader,
        overwrite,
        memory,
    };
    let upload = receive(&app.files, &target, form).await?;
    // The commit that makes the file visible checks session and account too. This check also covers a logout that the
    // database does not know of yet.
    let verified = app.tokens.verify_again(principal).await;
    verified.map_err(|error| Exchange::refuse(error.into()))?;
    let stored = upload.finish().await.map_err(upload_error)?;
    let stored = UploadedResponse::from(stored);
    Ok((StatusCode::CREATED, axum::Json(stored)).into_response())
}

/// The accounts that may upload: operators.
struct Uploads;

impl Scope for Uploads {
    type Shape = Exchange;
    const REALMS: &'static [Realm] = &[Realm::Ops];
}

/// An operator, and the session that the upload is made in.
#[derive(Clone, Copy)]
struct Uploader {
    account: AccountId,
    session: SessionId,
}

/// The destination of an upload, and the account of its bytes in memory.
struct Target {
    uploader: Uploader,
    overwrite: bool,
    memory: Account,
}

/// Reads the form to its end. An upload that is dropped before that leaves nothing.
async fn receive(files: &Files, target: &Target, mut form: Form) -> Result<Upload, Failure> {
    let mut received = None;
    while let Some(mut part) = form.next().await? {
        if part.name() != FIELD {
            part.small().await?;
            continue;
        }
        if received.is_some() {
            return Err(Failure::bad_request(
                "send one file: request_file is there twice",
            ));
        }
        let request = parse(&part, target)?;
        let begun = files.begin_upload(request).await;
        let mut upload = begun.map_err(upload_error)?;
        while let Some(chunk) = part.chunk().await? {
            upload.write(chunk).await.map_err(upload_error)?;
        }
        received = Some(upload);
    }
    received.ok_or_else(|| Failure::bad_request("send the file in the field request_file"))
}

fn parse(part: &Part, target: &Target) -> Result<UploadRequest, Failure> {
    let name = file_name(part.file_names())?;
    let declared = part
        .content_type()
        .filter(|text| text.len() <= LONGEST_TYPE);
    let content_type = declared.unwrap_or(UNKNOWN_TYPE).to_owned();
    Ok(UploadRequest {
        owner: target.uploader.account,
        session: target.uploader.session,
        name,
        content_type,
        overwrite: target.overwrite,
        memory: target.memory.clone(),
    })
}

/// The first usable name. An unusable `filename*` beside a usable `filename` is ignored.
fn file_name(given: &[String]) -> Result<FileName, Failure> {
    let mut refused = None;
    for name in given {
        match FileName::parse(name) {
            Ok(name) => return Ok(name),
            Err(bad) => refused = refused.or(Some(bad.to_string())),
        }
    }
    let unnamed = || "the file needs a name".to_owned();
    Err(Failure::bad_request(refused.unwrap_or_else(unnamed)))
}
