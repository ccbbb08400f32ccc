//! The page a browser gets at `/`: what runs here, its version, and the way to Swagger UI.

use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, VARY};
use http::{HeaderMap, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

const PAGE: &str = include_str!("welcome.html");
/// The page brings its own style and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(welcome))
}

/// The welcome page.
#[utoipa::path(
    get, path = "/", tag = "health",
    responses((status = 200, description = "The welcome page", content_type = "text/html")),
)]
async fn welcome() -> Response {
    page()
}

/// The page, which names this version.
pub(crate) fn page() -> Response {
    let html = PAGE.replace("{version}", env!("CARGO_PKG_VERSION"));
    (
        [(CONTENT_SECURITY_POLICY, POLICY), (VARY, "Accept")],
        Html(html),
    )
        .into_response()
}

/// Whether the client is a browser: `Accept` names `text/html`.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}
