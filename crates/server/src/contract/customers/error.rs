//! The errors of the customers API: problem documents (RFC 9457) with the server's own messages.

use crate::error::{Problem, Shaped};

pub(super) type Error = Shaped<Problem>;
