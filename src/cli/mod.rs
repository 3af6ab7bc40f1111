//! The command line.

mod backup;
mod chart;
mod client;
mod compact;
mod demo;
mod download;
mod erase;
mod exit;
mod out;
mod query;
mod reindex;
mod restore;
mod retain;
mod serve;
mod show;
mod verify;
mod views;

use crate::archive::{Archive, Settings};
use crate::config;
use crate::error::{Error, Result};
use crate::time::SystemClock;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Archives what each CI job did to its machine.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(serve::Args),
    /// Archive a real job of this machine and show it, with a Prometheus of its own.
    Demo(demo::Args),
    /// Show a job in the terminal.
    Show(show::Args),
    /// Ask a question over every job, in SQL.
    Query(query::Args),
    /// Check a data directory.
    Verify(verify::Args),
    /// Remove what has expired, or say what would go.
    Retain(retain::Args),
    /// Erase a project, a job, or texts of either.
    Erase(erase::Args),
    /// Compact a data directory.
    Compact(compact::Args),
    /// Print the tables and views in another engine's words.
    Views(views::Args),
    /// Make the index of a data directory anew.
    Reindex(reindex::Args),
    /// Make a backup of a data directory.
    Backup(backup::Args),
    /// Make a data directory from a backup.
    Restore(restore::Args),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a configuration file; every problem is named at once.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print every key with its default.
    Example,
}

/// Parses the command line, runs, and gives the process its exit code (see `cli::exit`).
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(&error.chain());
            exit::code(&error)
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(args) => block_on(serve::run(args))?,
        Command::Demo(args) => block_on(demo::run(args))?,
        Command::Show(args) => block_on(show::run(args))?,
        Command::Query(args) => block_on(query::run(args))?,
        Command::Verify(args) => verify::run(&args),
        Command::Retain(args) => retain::run(&args),
        Command::Erase(args) => block_on(erase::run(args))?,
        Command::Compact(args) => compact::run(&args),
        Command::Views(args) => {
            views::run(&args);
            Ok(())
        }
        Command::Reindex(args) => reindex::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Config(ConfigCommand::Check { file }) => {
            for warning in config::read_config(&file)?.warnings {
                out::note(&format!("warning: {warning}"));
            }
            out::line("the configuration is in order");
            Ok(())
        }
        Command::Config(ConfigCommand::Example) => {
            out::text(config::example());
            Ok(())
        }
        Command::Openapi => {
            let document = crate::http::openapi().to_pretty_json();
            out::line(&document.map_err(|error| Error::internal("OpenAPI").with_source(error))?);
            Ok(())
        }
    }
}

/// Refuses a folder without an archive: a command that looks at one must not make one.
fn must_be_archive(data_dir: &Path) -> Result<()> {
    if data_dir.join("FORMAT").is_file() {
        return Ok(());
    }
    let message = format!(
        "{} holds no archive; name it with --data-dir",
        data_dir.display()
    );
    Err(Error::not_found("no_archive", message))
}

/// Opens an archive that is there.
fn existing_archive(data_dir: &Path, settings: Settings) -> Result<Archive> {
    must_be_archive(data_dir)?;
    Archive::open(data_dir, settings, SystemClock::shared())
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| Error::internal("the runtime cannot start").with_source(error))?;
    Ok(runtime.block_on(future))
}
