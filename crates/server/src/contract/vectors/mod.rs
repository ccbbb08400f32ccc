//! The vectors contract: `POST /register`, `POST /login` by username, `POST /generate_array`.

mod error;
mod routes;
mod wire;

pub(crate) use self::error::Vectors;
pub(crate) use self::routes::{log_in, login_routes, routes};
pub(crate) use self::wire::{LoginResponse, MessageResponse};
