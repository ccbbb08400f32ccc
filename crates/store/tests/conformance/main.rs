//! One list of cases that every backend must pass, each under its own name, races included.
//!
//! A case takes a [`backend::Backend`] and knows no database. `suite.rs` is the list.

#![expect(
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod accounts;
mod backend;
mod blobs;
mod coverage;
mod customers;
mod database;
mod file_room;
mod files;
mod health;
mod invitations;
mod keys;
mod local_disk;
mod postgres;
mod rewinds;
mod s3;
#[expect(dead_code, reason = "the program's tests use more of it")]
mod s3_server;
mod session_epochs;
mod session_feed;
mod session_races;
mod sessions;
mod suite;
