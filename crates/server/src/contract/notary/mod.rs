//! The token notary: `POST /generateToken`, `GET /verifyToken`.
//!
//! Errors that the contract names have statuses in the 2xx range.

mod error;
mod large;
mod routes;
mod wire;

pub(crate) use self::error::Notary;
pub(crate) use self::routes::routes;
