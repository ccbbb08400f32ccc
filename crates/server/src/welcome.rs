//! The page a browser gets at `/`: what runs here, its version, and the way to Swagger UI.

use std::sync::Arc;

use axum::Extension;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, VARY};
use http::{HeaderMap, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::{App, Contracts, Settings};

const PAGE: &str = include_str!("welcome.html");
/// The page brings its own style and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a row is on the page, what it is called, and its calls.
fn rows(on: Contracts) -> [(bool, &'static str, &'static str); 6] {
    [
        (
            on.notary,
            "Token notary",
            "POST /generateToken, GET /verifyToken",
        ),
        (
            on.directory,
            "User directory",
            "POST /signup, POST /login, GET /users",
        ),
        (
            on.exchange,
            "File exchange",
            "/ops/*, /client/*, GET /logout",
        ),
        (
            on.vectors,
            "Vector generator",
            "POST /register, POST /login, POST /generate_array",
        ),
        (
            on.customers,
            "Customers",
            "/api/v1/authentication/*, /api/v1/customers/*",
        ),
        (true, "Your account", "/api/v1/account, /api/v1/sessions"),
    ]
}

/// The page of a server: its version, what runs on it, and the way to its documentation.
#[derive(Clone)]
pub(crate) struct Page(Arc<str>);

impl Page {
    pub(crate) fn new(settings: &Settings) -> Self {
        let rows: String = rows(settings.contracts)
            .iter()
            .filter(|(is_on, ..)| *is_on)
            .map(|(_, name, calls)| format!("<tr><td>{name}</td><td>{calls}</td></tr>\n"))
            .collect();
        let documentation = if settings.documentation {
            DOCUMENTATION
        } else {
            ""
        };
        let page = PAGE
            .replace("{version}", env!("CARGO_PKG_VERSION"))
            .replace("{rows}", &rows)
            .replace("{documentation}", documentation);
        Self(page.into())
    }
}

const DOCUMENTATION: &str = r#"<a href="/swagger-ui/">Try every call in Swagger UI</a> · <a href="/api-docs/openapi.json">OpenAPI document</a> · "#;

pub(crate) fn routes(page: Page) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(welcome))
        .layer(Extension(page))
}

/// The welcome page.
#[utoipa::path(
    get, path = "/", tag = "health",
    responses((status = 200, description = "The welcome page", content_type = "text/html")),
)]
async fn welcome(Extension(page): Extension<Page>) -> Page {
    page
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_SECURITY_POLICY, POLICY), (VARY, "Accept")];
        (headers, Html(self.0.to_string())).into_response()
    }
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
