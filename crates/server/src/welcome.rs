//! The page at `/` for browsers: the enabled contracts, the version, and a link to Swagger UI.

use std::sync::Arc;

use axum::Extension;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::accept::preference;
use crate::extract::media_type::MediaType;
use crate::state::{App, Settings};

const PAGE: &str = include_str!("welcome.html");
/// The page has an inline style and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page of a server: its version, what runs on it, and the way to its documentation.
#[derive(Clone)]
pub(crate) struct Page(Arc<str>);

impl Page {
    pub(crate) fn new(settings: &Settings) -> Self {
        let contracts = settings.contracts.served();
        let rows: String = contracts
            .map(|contract| (contract.title, contract.calls))
            .chain([("Your account", "/api/v1/account, /api/v1/sessions")])
            .map(|(name, calls)| format!("<tr><td>{name}</td><td>{calls}</td></tr>\n"))
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
        let headers = [
            (CONTENT_SECURITY_POLICY, POLICY),
            (VARY, "Accept"),
            (CACHE_CONTROL, "no-cache"),
        ];
        (headers, Html(self.0.to_string())).into_response()
    }
}

/// Whether the client prefers the page to plain text. If it prefers neither, it must name the media type of the page,
/// as browsers do.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let preference = |offered| {
        let offered = MediaType::parse(offered);
        offered
            .map(|offered| preference(headers, &offered))
            .unwrap_or_default()
    };
    let (page, text) = (preference(PAGE_TYPE), preference(TEXT_TYPE));
    page.weight > text.weight || page.weight == text.weight && page.weight > 0 && page.is_by_name()
}

/// The media types of the two responses at `/`.
const PAGE_TYPE: &str = "text/html; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_page_and_whoever_would_rather_not_gets_text() {
        for (accept, expected) in [
            ("text/html", true),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                true,
            ),
            ("*/*, text/html", true),
            ("text/plain, text/html", true),
            ("text/html;q=0.1", true),
            ("text/plain;q=0, */*", true),
            ("text/html;q=0", false),
            ("*/*, text/html;q=0.0", false),
            ("application/json, text/html ; q=0", false),
            ("text/plain, text/html;q=0.9", false),
            ("text/html;q=0.5, */*", false),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("x/y;z=\"text/html\"", false),
            ("x/y;z=\"a, text/html, b\"", false),
            ("text/html;q=1.5", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::ACCEPT, accept.parse().expect("value"));
            assert_eq!(is_wanted(&headers), expected, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
