//! What the answers of S3 mean: which are repeated, and which fault each becomes.
//!
//! Invariant: of an answer that refuses, only its status and code are kept; its text repeats what
//! was signed.

use std::error::Error as StdError;

use async_trait::async_trait;
use futures_util::StreamExt;
use keyward_core::error::Fault;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};

/// How much of an answer that refuses is read, in bytes.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Connects with what tells refusals apart.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Judge { inner }))
    }
}

#[derive(Debug)]
struct Judge {
    inner: HttpClient,
}

#[async_trait]
impl HttpService for Judge {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.inner.execute(request).await?;
        let status = response.status().as_u16();
        if status < 400 {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let text = text_of(body).await;
        let code = code_in(&text).map(str::to_owned);
        // What is merely absent, or is no longer what it was, is no failure; without its bucket
        // nothing can be there.
        if matches!(status, 404 | 412) && code.as_deref() != Some("NoSuchBucket") {
            return Ok(HttpResponse::from_parts(parts, text.into()));
        }
        let refusal = Refusal { status, code };
        let kind = match refusal.meaning() {
            Meaning::TryAgain => HttpErrorKind::Request,
            Meaning::Full | Meaning::Refused => HttpErrorKind::Unknown,
        };
        Err(HttpError::new(kind, refusal))
    }
}

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
#[error("S3 answered {status} {}", code.as_deref().unwrap_or("without a code"))]
pub(super) struct Refusal {
    status: u16,
    code: Option<String>,
}

enum Meaning {
    TryAgain,
    Full,
    Refused,
}

impl Refusal {
    fn meaning(&self) -> Meaning {
        let code = self.code.as_deref().unwrap_or_default();
        if self.status == 507 || code.contains("Quota") || code.contains("StorageFull") {
            return Meaning::Full;
        }
        match self.status {
            408 | 429 | 500.. => Meaning::TryAgain,
            400 if code == "RequestTimeout" => Meaning::TryAgain,
            _ => Meaning::Refused,
        }
    }
}

/// What an error of the object store means to a caller.
pub(super) fn fault(error: object_store::Error) -> Fault {
    match failure_in(&error) {
        Some(Meaning::TryAgain) => Fault::Unavailable(error.into()),
        Some(Meaning::Full) => Fault::Full(error.into()),
        Some(Meaning::Refused) | None => Fault::Internal(error.into()),
    }
}

/// What an error of a request means to a caller.
pub(super) fn request_fault(error: HttpError) -> Fault {
    match meaning_of(&error) {
        Meaning::TryAgain => Fault::Unavailable(error.into()),
        Meaning::Full => Fault::Full(error.into()),
        Meaning::Refused => Fault::Internal(error.into()),
    }
}

fn failure_in(error: &object_store::Error) -> Option<Meaning> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<HttpError>() {
            return Some(meaning_of(failure));
        }
        cause = error.source();
    }
    None
}

fn meaning_of(failure: &HttpError) -> Meaning {
    match failure.source().and_then(|source| source.downcast_ref()) {
        Some(refusal) => Refusal::meaning(refusal),
        None if failure.kind() == HttpErrorKind::Decode => Meaning::Refused,
        None => Meaning::TryAgain,
    }
}

/// As much of a refusal as arrives; its status says enough where it breaks off.
async fn text_of(body: HttpResponseBody) -> String {
    let mut bytes = Vec::new();
    let mut chunks = body.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_REFUSAL {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The code in an error's XML; only what looks like one, since it is shown.
fn code_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = !code.is_empty() && code.len() <= 64;
    (plain && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}
