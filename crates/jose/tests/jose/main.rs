//! What `keyward-jose` promises, seen from outside: published vectors, attacks, properties.

#![expect(clippy::unwrap_used, reason = "this is a test in every function")]

mod algorithms;
mod attacks;
mod claims;
mod key_sets;
mod own_keys;
mod pairs;
mod properties;
mod rfc;
mod spellings;
mod supplied_keys;
mod support;
mod work;
mod wycheproof;
