//! The OpenAPI 3.1 document, generated from the handlers, and Swagger UI, which is part of the binary.

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::Tag;
use utoipa::openapi::{Components, Info, OpenApi, OpenApiBuilder};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::contract;
use crate::state::App;

/// Swagger UI has inline styles, and icons in `data:` URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
);

/// The sections after those of the contracts, in the order in which Swagger UI shows them.
const OWN_TAGS: [&str; 2] = ["native", "health"];

/// The document without paths: information about the server, and the security schemes.
pub(crate) fn base() -> OpenApi {
    let mut info = Info::new("Keyward", env!("CARGO_PKG_VERSION"));
    info.description =
        Some("An identity and token server with five HTTP contracts and an API of its own.".into());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An access token from a login (for refresh: the refresh token).",
        ))
        .build();
    let header = ApiKeyValue::with_description("x-access-token", "The directory's header.");
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme(
        "x-access-token",
        SecurityScheme::ApiKey(ApiKey::Header(header)),
    );
    let tags = contract::NAMES.iter().copied().chain(OWN_TAGS);
    OpenApiBuilder::new()
        .tags(Some(tags.map(Tag::new)))
        .info(info)
        .components(Some(components))
        .build()
}

/// Gives each operation an id made of its method and path, because ids must be unique (OpenAPI 3.1 §4.8.10) and the
/// names of handlers are unique only within a folder.
pub(crate) fn name_operations(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let words: Vec<_> = path
            .split(|char: char| !char.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let operations = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                let words = [&[method], &words[..]].concat();
                operation.operation_id = Some(words.join("_"));
            }
        }
    }
}

/// The paths of [`routes`], as templates.
pub(crate) const PATHS: &[&str] = &[
    "/swagger-ui",
    "/swagger-ui/",
    "/swagger-ui/{*rest}",
    "/api-docs/openapi.json",
];

/// `/swagger-ui/` and `/api-docs/openapi.json`, which contain no data of users.
pub(crate) fn routes(document: OpenApi) -> Router<App> {
    let config = Config::default()
        .validator_url("none")
        .persist_authorization(false);
    let ui = SwaggerUi::new("/swagger-ui")
        .url("/api-docs/openapi.json", document)
        .config(config);
    Router::from(ui).layer(map_response(|mut response: Response| async {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
        response
    }))
}
