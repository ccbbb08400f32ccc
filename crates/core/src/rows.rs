//! One trait for everything that a database stores, for the code that assembles the services.

use crate::{accounts, customers, files, health, keys, sessions};

/// A store of all rows. Every type that implements the traits of the capabilities is one.
pub trait Rows:
    keys::Store + accounts::Store + sessions::Store + customers::Store + files::Store + health::Store
{
}

impl<T> Rows for T where
    T: keys::Store
        + accounts::Store
        + sessions::Store
        + customers::Store
        + files::Store
        + health::Store
{
}
