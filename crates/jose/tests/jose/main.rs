//! What `keyward-jose` promises, seen from outside: published vectors, attacks, properties.

#![expect(clippy::unwrap_used, reason = "this is a test in every function")]

mod attacks;
mod claims;
mod foreign_keys;
mod properties;
mod rfc;
mod support;
mod wycheproof;
