//! The whole server as one router: the contracts that are switched on, the native API beside them, and the
//! OpenAPI document of all of it.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use utoipa::openapi::OpenApi;
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::error::{Problem, Shape, method_not_allowed, not_found};
use crate::middleware::{Edge, Site};
use crate::state::{App, Settings};
use crate::{api, contract, documentation, health, login, welcome};

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
    let on = settings.contracts;
    let page = welcome::Page::new(settings);
    let mut all = Assembly {
        router: Router::new(),
        document: documentation::base(),
    };
    all.add::<Problem>(true, api::routes());
    all.add::<contract::notary::Notary>(on.notary, contract::notary::routes());
    all.add::<contract::directory::Directory>(
        on.directory,
        contract::directory::routes(page.clone()),
    );
    all.add::<Problem>(!on.directory, welcome::routes(page));
    all.add::<Problem>(
        on.exchange,
        contract::exchange::routes(settings.largest_upload),
    );
    all.add::<contract::vectors::Vectors>(on.vectors, contract::vectors::routes());
    all.add::<contract::vectors::Vectors>(on.vectors, health::routes());
    all.add::<Problem>(!on.vectors, health::routes());
    all.add::<Problem>(on.customers, contract::customers::routes());
    match (on.directory, on.vectors) {
        (true, true) => all.add::<login::Either>(true, login::routes()),
        (directory, vectors) => {
            all.add::<contract::directory::Directory>(
                directory,
                contract::directory::login_routes(),
            );
            all.add::<contract::vectors::Vectors>(vectors, contract::vectors::login_routes());
        }
    }
    documentation::name_operations(&mut all.document);
    (all.router, all.document)
}

/// The answer where a path is known and no route of it takes the method: to `OPTIONS` which ones there are (RFC 9110
/// §9.3.7), else 405 in the shape of `S`. The router adds `Allow`. There is no header of CORS, so browsers go no further.
async fn other_method<S: Shape>(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => method_not_allowed::<S>().await.into_response(),
    }
}

struct Assembly {
    router: Router<App>,
    document: OpenApi,
}

impl Assembly {
    /// Adds routes whose 405 has the shape of `S`.
    fn add<S: Shape>(&mut self, switched_on: bool, routes: OpenApiRouter<App>) {
        if !switched_on {
            return;
        }
        let (router, mut document) = routes.split_for_parts();
        // The sets of responses refer to it.
        let schemas = &mut document.components.get_or_insert_default().schemas;
        schemas.insert(S::Body::name().into(), S::Body::schema());
        let router = router.method_not_allowed_fallback(other_method::<S>);
        self.router = std::mem::take(&mut self.router).merge(router);
        self.document.merge(document);
    }
}
