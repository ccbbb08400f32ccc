//! How the program ends: 0 fine, 1 failed, 2 wrong use; what failed is said on standard error.

use std::io;
use std::process::ExitCode;

use crate::output;

/// A use of the program that cannot be meant; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// Says what failed, if anything, and gives the code to end with.
pub(crate) fn code_of(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // Whoever read our output has seen enough.
    let unread = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(unread) {
        return ExitCode::SUCCESS;
    }
    output::remark(&format!("error: {error:#}"));
    if error.is::<Misuse>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}
