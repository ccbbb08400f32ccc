//! The calls of the customers API, from the files that have them.

use utoipa_axum::router::OpenApiRouter;

use super::{authentication, table};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    authentication::routes().merge(table::routes())
}
