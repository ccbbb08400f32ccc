//! What handlers take from a request, strictly read, with failures in the contract's shape.

pub(crate) mod accept;
pub(crate) mod bearer;
pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod guard;
pub(crate) mod id;
pub(crate) mod invitation;
pub(crate) mod json;
pub(crate) mod media_type;
pub(crate) mod member;
pub(crate) mod query;
