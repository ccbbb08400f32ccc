//! What only PostgreSQL can do or suffer: its faults, its feed, its migrations by several servers at once.

mod faults;
mod feed;
mod login;
mod migrations;
mod proxy;
mod sessions;
