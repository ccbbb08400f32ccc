//! Contract 1, the token notary: `POST /generateToken`, `GET /verifyToken`.
//!
//! The errors that the original named have statuses in the 2xx range, and keep them.

mod error;
mod routes;
mod wire;

pub(crate) use self::error::Notary;
pub(crate) use self::routes::routes;
