//! The exchange contract: operators upload files, clients list and fetch them.
//!
//! Failures are `application/problem+json`. Only a token of the other role is 403; any other that is not
//! good here is 401.

mod accounts;
mod credentials;
mod disposition;
mod download;
mod error;
mod upload;
mod wire;

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

/// The routes, with uploads of at most `largest_upload` bytes, form and all.
pub(crate) fn routes(largest_upload: u64) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(upload::routes(largest_upload))
        .merge(download::routes())
}
