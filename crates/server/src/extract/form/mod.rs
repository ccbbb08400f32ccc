//! Forms, parsed strictly: repeated fields and anything but UTF-8 are refused, and values are not changed.

mod disposition;
pub(crate) mod multipart;
mod pieces;
pub(crate) mod urlencoded;

use std::collections::HashMap;

use super::member::Member;
use crate::error::Failure;

/// The fields of a form.
#[derive(Default)]
pub(crate) struct Fields(HashMap<String, String>);

impl Fields {
    /// Takes the field `name`, which may be absent.
    pub(crate) fn take(&mut self, name: &str) -> Member {
        self.0.remove(name).map_or(Member::Absent, Member::Text)
    }

    fn put(&mut self, name: String, value: Vec<u8>) -> Result<(), Failure> {
        match self.0.insert(name, text(value)?) {
            None => Ok(()),
            Some(_) => Err(Failure::bad_request("the form has a field twice")),
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::bad_request("the form must be UTF-8"))
}
