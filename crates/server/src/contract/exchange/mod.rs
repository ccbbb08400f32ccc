//! The exchange contract: operators upload files, clients list and fetch them.
//!
//! Failures are `application/problem+json`. Only a token of the other role is 403; any other that is not
//! good here is 401.

mod accounts;
mod credentials;
mod disposition;
mod download;
mod error;
mod routes;
mod upload;
mod wire;

use super::Contract;

/// Its entry in the table of contracts.
pub(super) const CONTRACT: Contract = Contract {
    title: "File exchange",
    calls: "/ops/*, /client/*, GET /logout",
    add: |all, settings| all.add::<error::Exchange>(routes::routes(settings.largest_upload)),
    login: None,
};
