//! The token notary: `POST /generateToken`, `GET /verifyToken`.
//!
//! The errors that the contract defines have statuses in the 2xx range.

mod error;
mod large;
mod routes;
mod wire;

use super::Contract;

/// The row of the notary in the table of contracts.
pub(super) const CONTRACT: Contract = Contract {
    title: "Token notary",
    calls: "POST /generateToken, GET /verifyToken",
    add: |all, _| all.add::<error::Notary>(routes::routes()),
    login: None,
};
