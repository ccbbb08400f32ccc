//! What the customers API says about failures: problem documents (RFC 9457) in the server's own words.

use crate::error::{Problem, Shaped};

pub(super) type Error = Shaped<Problem>;
