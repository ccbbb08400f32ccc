//! The whole server over HTTP, through its router: a folder a contract.

mod api;
mod app;
mod customers;
mod directory;
mod notary;
mod purposes;
mod vectors;
