//! `secret-service completions` and `secret-service man`: files that a package installs beside the program.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, CommandError};

/// Print shell completions
///
/// For example for bash: secret-service completions bash > /etc/bash_completion.d/secret-service
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write one page per command
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Write all pages to this existing directory instead of printing the main one
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Completions {
    /// Prints them.
    pub fn run(self) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "secret-service", &mut script);
        print(&script)
    }
}

impl Man {
    /// Prints the page, or writes the pages.
    pub fn run(self) -> Result<(), CommandError> {
        match self.dir {
            Some(directory) => {
                clap_mangen::generate_to(Cli::command(), directory).map_err(CommandError::failed)
            }
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(CommandError::failed)?;
                print(&page)
            }
        }
    }
}

fn print(bytes: &[u8]) -> Result<(), CommandError> {
    io::stdout().lock().write_all(bytes).map_err(CommandError::failed)
}
