//! Asks before something goes that does not come back by itself.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::Failure;

/// Goes on where a person says yes, and nowhere else. The question goes to standard error: standard output is for answers.
pub(super) fn confirm(shown: &str, question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask at: say --yes if it is to be done without asking",
        ));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{shown}\n\n{question} [y/N] ").and_then(|()| stderr.flush()).map_err(Failure::failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::failed)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was done: the answer was not yes")),
    }
}
