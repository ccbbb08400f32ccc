//! Exit codes: 0 for success, 1 for a failure, 2 for wrong usage. The error is printed on standard error.

use std::io;
use std::process::ExitCode;

use crate::output;

/// Wrong usage of the program. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Prints the error, if there is one, and returns the exit code.
pub(crate) fn code_of(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // The reader of our output closed the pipe, as `head` does.
    let unread = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(unread) {
        return ExitCode::SUCCESS;
    }
    output::remark(&format!("error: {error:#}"));
    if error.is::<UsageError>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}
