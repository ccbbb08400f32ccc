//! The whole server over HTTP, through its router: a folder a contract.

#![expect(
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod api;
mod app;
mod clock;
mod customers;
mod directory;
mod effects;
mod effort;
mod exchange;
mod memory;
mod notary;
mod purposes;
mod restore;
mod series;
mod sign_up;
mod vectors;
mod work;
