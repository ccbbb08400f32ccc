//! The vectors contract: `POST /register`, `POST /login` by username, `POST /generate_array`.

mod error;
mod routes;
mod wire;

use self::error::Vectors;
pub(crate) use self::routes::log_in;
pub(crate) use self::wire::{LoginResponse, MessageResponse};
use super::Contract;
use crate::health;

/// The row of the vector generator in the table of contracts.
pub(super) const CONTRACT: Contract = Contract {
    title: "Vector generator",
    calls: "POST /register, POST /login, POST /generate_array",
    add: |all, _| {
        all.add::<Vectors>(routes::routes());
        // The contract has `/health` too, so a 405 there has the contract's shape.
        all.add::<Vectors>(health::routes());
    },
    login: Some(|all| all.add::<Vectors>(routes::login_routes())),
};
