//! Interprets S3's responses: which requests are retried, and which fault each error becomes.
//!
//! Invariant: of an error response, only the status and the code are kept. Its text repeats the signed request.

use std::error::Error as StdError;

use async_trait::async_trait;
use futures_util::StreamExt;
use keyward_core::error::Fault;
use keyward_core::span;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use tracing::{Instrument as _, info_span};

/// How many bytes of an error response are read.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Makes HTTP clients that turn error responses into [`ErrorResponse`]s.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(ErrorMapping { inner }))
    }
}

#[derive(Debug)]
struct ErrorMapping {
    inner: HttpClient,
}

#[async_trait]
impl HttpService for ErrorMapping {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let method = request.method().as_str();
        let span = info_span!(target: span::TARGET, "S3", otel.kind = "client", http.request.method = method);
        let response = self.inner.execute(request).instrument(span).await?;
        let status = response.status().as_u16();
        if status < 400 {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let text = text_of(body).await;
        let code = code_in(&text).map(str::to_owned);
        // A missing or changed object is not a failure of S3. A missing bucket is.
        if matches!(status, 404 | 412) && code.as_deref() != Some("NoSuchBucket") {
            return Ok(HttpResponse::from_parts(parts, text.into()));
        }
        let refusal = ErrorResponse { status, code };
        let kind = match refusal.meaning() {
            Meaning::TryAgain => HttpErrorKind::Request,
            Meaning::Full | Meaning::Refused => HttpErrorKind::Unknown,
        };
        Err(HttpError::new(kind, refusal))
    }
}

/// An error response of S3.
#[derive(Debug, thiserror::Error)]
#[error("S3 answered {status} {}", code.as_deref().unwrap_or("without a code"))]
pub(super) struct ErrorResponse {
    status: u16,
    code: Option<String>,
}

enum Meaning {
    TryAgain,
    Full,
    Refused,
}

impl ErrorResponse {
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

/// Translates an error of the object store for the caller.
pub(super) fn fault(error: object_store::Error) -> Fault {
    match failure_in(&error) {
        Some(Meaning::TryAgain) => Fault::Unavailable(error.into()),
        Some(Meaning::Full) => Fault::Full(error.into()),
        Some(Meaning::Refused) | None => Fault::Internal(error.into()),
    }
}

/// Translates an error of a request for the caller.
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
        Some(refusal) => ErrorResponse::meaning(refusal),
        None if failure.kind() == HttpErrorKind::Decode => Meaning::Refused,
        None => Meaning::TryAgain,
    }
}

/// The text of an error response, as far as it arrives. If the connection breaks, the status is enough.
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

/// The code in the XML of an error response. Only letters and digits are accepted, because the code is shown.
fn code_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = !code.is_empty() && code.len() <= 64;
    (plain && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}
