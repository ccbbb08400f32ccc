//! Contract 3, the file exchange of operators and clients.

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

pub(crate) fn routes(_largest_upload: u64) -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
