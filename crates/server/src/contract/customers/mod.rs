//! Contract 5, the customers API.

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
