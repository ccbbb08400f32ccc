//! The customers API: `/api/v1/authentication/*` and `/api/v1/customers/*`.

mod authentication;
mod error;
mod precondition;
mod routes;
mod table;
mod wire;

use super::Contract;
use crate::error::Problem;

/// The row of the customers API in the table of contracts.
pub(super) const CONTRACT: Contract = Contract {
    title: "Customers",
    calls: "/api/v1/authentication/*, /api/v1/customers/*",
    add: |all, _| all.add::<Problem>(routes::routes()),
    login: None,
};
