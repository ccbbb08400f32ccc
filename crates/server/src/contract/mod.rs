//! The five wire contracts, a folder each, and the table of them.
//!
//! Invariant: contracts never import one another. All have the same files: `mod.rs` with the row for the table, `routes.rs`,
//! `wire.rs` with the names of the contract, and `error.rs` with the shape of its errors; large ones have more. The router, the
//! welcome page, the sections of the OpenAPI document and the settings are made from the table.

pub(crate) mod customers;
pub(crate) mod directory;
pub(crate) mod exchange;
pub(crate) mod notary;
pub(crate) mod vectors;

use crate::router::Assembly;
use crate::state::Settings;

/// A row of the table.
pub(crate) struct Contract {
    /// Its name on the welcome page.
    pub(crate) title: &'static str,
    /// Its operations, for the welcome page.
    pub(crate) calls: &'static str,
    /// Adds its routes.
    pub(crate) add: fn(&mut Assembly, &Settings),
    /// Adds its own `POST /login`. It is used if no other contract that is switched on has one.
    pub(crate) login: Option<fn(&mut Assembly)>,
}

/// The table of contracts: calls the named macro with the given tokens and all rows. A row is the explanation of a contract
/// and its name. The folder, the setting and the section in the OpenAPI document have the same name.
#[macro_export]
macro_rules! contracts {
    ($macro:ident $($before:tt)*) => {
        $macro! { $($before)*
            /// The token notary: /generateToken, /verifyToken.
            notary
            /// The user directory: /, /signup, /users, and /login with an e-mail address.
            directory
            /// The file exchange: /ops, /client, /logout.
            exchange
            /// The vector generator: /register, /generate_array, and /login with a username.
            vectors
            /// The customers API: /api/v1/authentication, /api/v1/customers.
            customers
        }
    };
}

macro_rules! declare {
    ($( $(#[doc = $doc:literal])+ $name:ident )+) => {
        /// Which contracts are served.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Contracts {
            $( $(#[doc = $doc])+ pub $name: bool, )+
        }

        impl Contracts {
            /// All of them.
            pub const ALL: Self = Self { $( $name: true, )+ };

            /// Those that are served, in the order of the table.
            pub(crate) fn served(self) -> impl Iterator<Item = &'static Contract> {
                let all = [$( (self.$name, &$name::CONTRACT) ),+];
                all.into_iter().filter_map(|(is_on, contract)| is_on.then_some(contract))
            }
        }

        /// Their names, in the order of the table.
        pub(crate) const NAMES: &[&str] = &[$( stringify!($name) ),+];
    };
}

contracts!(declare);
