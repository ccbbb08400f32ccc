//! The native API, and what the OpenAPI document says of every path.

mod account;
mod document;
mod errors;
mod sessions;

const ACCOUNT: &str = "/api/v1/account";
const PASSWORD: &str = "/api/v1/account/password";
const SESSIONS: &str = "/api/v1/sessions";
