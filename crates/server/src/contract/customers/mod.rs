//! The customers API: `/api/v1/authentication/*` and `/api/v1/customers/*`.

mod authentication;
mod precondition;
mod table;
mod wire;

use keyward_core::accounts::Realm;
use utoipa_axum::router::OpenApiRouter;

use crate::error::{Problem, Shaped};
use crate::extract::guard::{Authorized, NoBody, Scope};
use crate::state::App;

/// Errors are problem documents (RFC 9457).
type Error = Shaped<Problem>;

/// Whoever may use the customers table.
struct Table;

impl Scope for Table {
    type Shape = Problem;
    const REALMS: &'static [Realm] = &[Realm::Default];
}

/// A request of one who may.
type Caller<P = (), B = NoBody> = Authorized<Table, P, B>;

pub(crate) fn routes() -> OpenApiRouter<App> {
    authentication::routes().merge(table::routes())
}
