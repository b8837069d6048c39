//! `cx memory`
//!
//! Each verb of it is a file here. `here` opens the memory where we stand, and says who
//! asks; `shown` is an entry for people and scripts.

mod delete;
mod exchange;
mod get;
mod here;
mod history;
mod list;
mod results;
mod search;
mod shown;
mod store;

pub(super) use results::{keep_answer, take_in};

use clap::{Args, Subcommand};

use crate::{
    failure::{Exit, Failure},
    memory::{DEFAULT_NAMESPACE, MemoryError},
};

/// Share what is found: values by key, for people and workers of this repository
///
/// A key has one value in each namespace, up to 1 MiB of any bytes, and its earlier
/// values are kept. What a job answers is there as `result-NAME` in the namespace
/// `results`. `cx man memory` has the whole of it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MemoryArgs {
    #[command(subcommand)]
    command: MemoryCommand,
}

const EXAMPLES: &str = "\
Examples:
  cx memory store api/errors \"All errors are RFC 7807\" --tags api,decision
  cargo metadata --format-version 1 | cx memory store deps -
  cx memory search \"how are errors reported\"
  cx memory get result-auth -n results --value-only
  cx spawn -t coder --recall \"Add the endpoint\"   # with what is known, in its prompt";

#[derive(Debug, Subcommand)]
enum MemoryCommand {
    /// Store a value under a key
    Store(store::StoreArgs),
    /// Print what is stored under a key
    Get(get::GetArgs),
    /// List what is stored
    List(list::ListArgs),
    /// Find what is stored, the best match first
    Search(search::SearchArgs),
    /// Delete a key
    Delete(delete::DeleteArgs),
    /// Show every value that a key has had
    History(history::HistoryArgs),
    /// Print all that is stored, one JSON object a line
    Export(exchange::ExportArgs),
    /// Store what `cx memory export` has printed
    Import(exchange::ImportArgs),
}

/// A key, and where it is.
#[derive(Debug, Args)]
struct KeyArgs {
    /// The key
    #[arg(value_name = "KEY")]
    key: String,

    /// Where the key is
    #[arg(short, long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
}

/// Runs the verb.
pub fn run(args: &MemoryArgs) -> Result<Exit, Failure> {
    match &args.command {
        MemoryCommand::Store(args) => store::run(args),
        MemoryCommand::Get(args) => get::run(args),
        MemoryCommand::List(args) => list::run(args),
        MemoryCommand::Search(args) => search::run(args),
        MemoryCommand::Delete(args) => delete::run(args),
        MemoryCommand::History(args) => history::run(args),
        MemoryCommand::Export(args) => exchange::export(args),
        MemoryCommand::Import(args) => exchange::import(args),
    }
}

/// A failure of the memory: 1 where the key is why, 2 where what was typed is, else 125.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(super) fn failure(error: MemoryError) -> Failure {
    let exit = match &error {
        MemoryError::Taken(_) | MemoryError::NotShared(_) => Exit::Failed,
        MemoryError::Word { .. } | MemoryError::TooLarge { .. } => Exit::Usage,
        MemoryError::Io { .. } | MemoryError::Encode(_) => Exit::Internal,
    };
    Failure::new(exit, error.to_string()).maybe_hint(error.hint())
}
