//! A JSON answer from text that is there already.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// Room for the headers of an answer, those of the middleware included, so that the map does not grow.
const HEADERS: usize = 8;

/// The text as the body of a 200.
pub(crate) fn json(text: impl Into<Body>) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(text.into());
    *response.headers_mut() = headers;
    response
}
