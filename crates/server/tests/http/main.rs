//! The whole server over HTTP, through its router: a folder a contract.

mod app;
mod directory;
mod notary;
mod purposes;
mod vectors;
