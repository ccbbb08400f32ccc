//! The directory contract: `GET /`, `POST /signup`, `POST /login` by e-mail address, `GET /users`.

mod error;
mod routes;
mod wire;

pub(crate) use self::error::Directory;
pub(crate) use self::routes::log_in;
pub(crate) use self::wire::LoginResponse;
use super::Contract;
use crate::welcome::Page;

/// The row of the directory in the table of contracts.
pub(super) const CONTRACT: Contract = Contract {
    title: "User directory",
    calls: "POST /signup, POST /login, GET /users",
    add: |all, settings| all.add::<Directory>(routes::routes(Page::new(settings))),
    login: Some(|all| all.add::<Directory>(routes::login_routes())),
};
