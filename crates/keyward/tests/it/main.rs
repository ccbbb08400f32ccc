//! The program itself: the built binary in a temporary folder, its command line and its server.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod accounts;
mod authority;
mod backup;
mod big_file;
mod bucket;
mod bucket_backup;
mod clusters;
mod commands;
mod costly;
mod crash;
mod demo;
mod disk;
mod doctor;
mod failover;
mod faults;
mod full_disk;
mod given_keys;
mod health;
mod http2;
mod idle;
mod invitations;
mod keys;
mod leaving;
mod load;
mod metrics;
mod nodes;
mod on_postgres;
mod outages;
mod pooler;
mod postgres;
mod postgres_access;
mod power_cut;
mod prometheus;
mod prompt;
mod readme;
mod redis_access;
mod rolling_upgrade;
#[expect(dead_code, reason = "the store's tests use more of it")]
#[path = "../../../store/tests/conformance/s3_server.rs"]
mod s3_server;
mod secrets;
mod serve;
mod server;
mod shared_limits;
mod stalled;
mod supervisor;
mod tls;
mod tokens;
mod traces;
mod two_databases;
mod upgrade;
