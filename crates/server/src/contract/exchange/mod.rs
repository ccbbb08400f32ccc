//! The exchange contract: operators upload files, clients list and fetch them.
//!
//! Errors are `application/problem+json`. A token of the other role is 403. Any other token that is not accepted is 401.

mod accounts;
mod credentials;
mod disposition;
mod download;
mod error;
mod routes;
mod upload;
mod wire;

use super::Contract;

/// The row of the exchange in the table of contracts.
pub(super) const CONTRACT: Contract = Contract {
    title: "File exchange",
    calls: "/ops/*, /client/*, GET /logout",
    add: |all, settings| all.add::<error::Exchange>(routes::routes(settings.largest_upload)),
    login: None,
};
