//! The directory contract: `GET /`, `POST /signup`, `POST /login` by e-mail address, `GET /users`.

mod error;
mod routes;
mod wire;

pub(crate) use self::error::Directory;
pub(crate) use self::routes::{log_in, login_routes, routes};
pub(crate) use self::wire::LoginResponse;
