//! The calls of the exchange, from the files that have them.

use utoipa_axum::router::OpenApiRouter;

use super::{accounts, download, upload};
use crate::state::App;

/// The routes, with uploads of at most `largest_upload` bytes, form and all.
pub(super) fn routes(largest_upload: u64) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(upload::routes(largest_upload))
        .merge(download::routes())
}
