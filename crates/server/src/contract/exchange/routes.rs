//! The routes of the exchange: accounts, uploads and downloads.

use utoipa_axum::router::OpenApiRouter;

use super::{accounts, download, upload};
use crate::state::App;

/// The routes. The body of an upload has at most `largest_upload` bytes, including the form around the file.
pub(super) fn routes(largest_upload: u64) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(upload::routes(largest_upload))
        .merge(download::routes())
}
