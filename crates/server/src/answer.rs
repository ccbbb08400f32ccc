//! A JSON response with a text that is already serialized.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// The capacity for the headers of a response, including those of the middleware, so that the map does not grow.
const HEADERS: usize = 8;

/// A response 200 with the text as its body.
pub(crate) fn json(text: impl Into<Body>) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(text.into());
    *response.headers_mut() = headers;
    response
}
