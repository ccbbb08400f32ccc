//! Keyward over HTTP: five wire contracts and the native API on one router. No SQL driver, no settings files.

mod answer;
mod api;
mod assembly;
mod byte_set;
mod conditional;
mod contract;
mod documentation;
mod error;
mod extract;
mod health;
mod list;
mod login;
mod logins;
mod memory;
mod password_login;
mod responses;
mod router;
mod schemas;
mod state;
mod welcome;

pub mod address;
pub mod hosts;
pub mod limits;
pub mod metrics;
pub mod middleware;
pub mod redirect;
pub mod serve;

pub use self::assembly::{Base, Policies};
pub use self::contract::Contracts;
pub use self::router::{document, site};
pub use self::state::{App, Services, Settings};
