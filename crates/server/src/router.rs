//! The whole server as one router: the contracts that are switched on, the native API beside them, and the
//! OpenAPI document of all of it.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode};
use utoipa::openapi::OpenApi;
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::error::{Problem, Shape, method_not_allowed, not_found};
use crate::middleware::{Edge, Site};
use crate::state::{App, Settings};
use crate::{api, documentation, health, login, welcome};

/// The whole of a server with these services and settings.
pub fn site(app: &App, settings: &Settings) -> Site {
    let (router, document) = routes(settings);
    let documented = document.paths.paths.keys().map(String::as_str);
    let pages = match settings.documentation {
        true => documentation::PATHS,
        false => &[],
    };
    let edge = Edge {
        random: Arc::clone(&app.random),
        proxies: Arc::clone(&app.proxies),
        memory: Arc::clone(&app.memory),
        hosts: settings.hosts.clone(),
        templates: documented.chain(pages.iter().copied()).collect(),
        access_log: settings.access_log,
        traced: settings.traced,
        strict_transport: settings
            .strict_transport
            .and_then(|span| HeaderValue::from_str(&format!("max-age={}", span.as_secs())).ok()),
    };
    let router = match settings.documentation {
        true => {
            let pages = documentation::routes(document);
            router.merge(pages.method_not_allowed_fallback(other_method::<Problem>))
        }
        false => router,
    };
    Site::new(router.fallback(not_found).with_state(app.clone()), edge)
}

/// The OpenAPI document of a server with these settings.
#[must_use]
pub fn document(settings: &Settings) -> OpenApi {
    routes(settings).1
}

fn routes(settings: &Settings) -> (Router<App>, OpenApi) {
    let mut all = Assembly {
        router: Router::new(),
        document: documentation::base(),
    };
    all.add::<Problem>(api::routes());
    for contract in settings.contracts.served() {
        (contract.add)(&mut all, settings);
    }
    login::add(&mut all, settings.contracts);
    if !all.has("/") {
        all.add::<Problem>(welcome::routes(welcome::Page::new(settings)));
    }
    if !all.has("/health") {
        all.add::<Problem>(health::routes());
    }
    documentation::name_operations(&mut all.document);
    (all.router, all.document)
}

/// The response if a path is known but has no route for the method: 204 to `OPTIONS` (RFC 9110 §9.3.7), else 405 in the
/// shape of `S`. The router adds `Allow`. There are no CORS headers, so a browser stops there.
async fn other_method<S: Shape>(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => method_not_allowed::<S>().await.into_response(),
    }
}

/// The routes so far, and their document.
pub(crate) struct Assembly {
    router: Router<App>,
    document: OpenApi,
}

impl Assembly {
    /// Adds routes whose 405 has the shape of `S`.
    pub(crate) fn add<S: Shape>(&mut self, routes: OpenApiRouter<App>) {
        let (router, mut document) = routes.split_for_parts();
        // The response sets refer to this schema.
        let schemas = &mut document.components.get_or_insert_default().schemas;
        schemas.insert(S::Body::name().into(), S::Body::schema());
        let router = router.method_not_allowed_fallback(other_method::<S>);
        self.router = std::mem::take(&mut self.router).merge(router);
        self.document.merge(document);
    }

    /// Whether `path` already has routes.
    fn has(&self, path: &str) -> bool {
        self.document.paths.paths.contains_key(path)
    }
}
