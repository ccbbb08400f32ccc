//! The native API under `/api/v1`, for what the contracts lack.

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
