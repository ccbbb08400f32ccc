//! The routes of the customers API: login, and the table.

use utoipa_axum::router::OpenApiRouter;

use super::{authentication, table};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    authentication::routes().merge(table::routes())
}
