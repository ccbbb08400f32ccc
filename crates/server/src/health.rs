//! Health checks, without a token. While the vectors contract is on, they have its shape.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keyward_core::health;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

/// The body of a health check.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// `ok` or `unavailable`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Why the server is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// Whether the path is that of a health check. Probes may use any host, such as an IP address.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/health/live" | "/health/ready")
}

const OK: HealthResponse = HealthResponse {
    status: "ok",
    reason: None,
};

/// Whether the server answers.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = HealthResponse)))]
async fn health() -> axum::Json<HealthResponse> {
    axum::Json(OK)
}

/// Whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = HealthResponse)))]
async fn live() -> axum::Json<HealthResponse> {
    axum::Json(OK)
}

/// Whether the database answers and its migrations are in place.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = 200, body = HealthResponse), (status = 503, body = HealthResponse)),
)]
async fn ready(State(store): State<Arc<dyn health::Store>>) -> Response {
    match store.check().await {
        Ok(()) => axum::Json(OK).into_response(),
        Err(fault) => {
            let body = HealthResponse {
                status: "unavailable",
                reason: Some(fault.to_string()),
            };
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
        }
    }
}
