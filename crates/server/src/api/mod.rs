//! The native API under `/api/v1`, for tasks that the contracts lack: showing the caller's account, changing its
//! password, and managing its sessions. It accepts access tokens of every realm.

mod account;
mod caller;
mod sessions;
mod wire;

use utoipa_axum::router::OpenApiRouter;

use crate::error::{Problem, Shaped};
use crate::state::App;

/// Errors are problem documents (RFC 9457).
type Error = Shaped<Problem>;

pub(crate) fn routes() -> OpenApiRouter<App> {
    account::routes().merge(sessions::routes())
}
