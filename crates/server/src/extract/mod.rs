//! Extractors: they parse requests strictly, and their failures have the shape of the contract.

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
