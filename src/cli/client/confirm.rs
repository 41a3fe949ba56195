//! Confirmation before a deletion.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::CommandError;

/// Succeeds only if a person answers yes. The question goes to standard error: standard output is for
/// results.
pub(super) fn confirm(shown: &str, question: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::usage(
            "can't ask for confirmation, because standard input is not a terminal: use --yes to proceed \
             without it",
        ));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{shown}\n\n{question} [y/N] ")
        .and_then(|()| stderr.flush())
        .map_err(CommandError::failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(CommandError::failed)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::failed("not confirmed; nothing was changed")),
    }
}
