//! Contract 5, the customers API: `/api/v1/authentication/*` and `/api/v1/customers/*`.

mod authentication;
mod caller;
mod precondition;
mod table;
mod wire;

use utoipa_axum::router::OpenApiRouter;

use crate::error::{Problem, Shaped};
use crate::state::App;

/// Errors are problem documents (RFC 9457).
type Error = Shaped<Problem>;

pub(crate) fn routes() -> OpenApiRouter<App> {
    authentication::routes().merge(table::routes())
}
