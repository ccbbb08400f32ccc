//! The five wire contracts, a folder each with its own shape of error. They never import one another: deleting
//! one is deleting its folder and a line in `router.rs`.

pub(crate) mod customers;
pub(crate) mod directory;
pub(crate) mod exchange;
pub(crate) mod notary;
pub(crate) mod vectors;
