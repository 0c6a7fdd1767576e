//! What every command that takes time begins with: a terminal, a work directory, and a runtime that a signal ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use builder::{Error, Fetching, WorkDir};
use credentials::Chain;
use registry::ClientOptions;
use sandbox::Cancel;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::kaniko::{Entry, Fate};
use crate::log_args::{LogArgs, Verbosity};
use crate::registry_args::RegistryArgs;
use crate::terminal::{Terminal, print_result};
use crate::{environment, signals};

/// A command under way.
pub(crate) struct Session {
    pub(crate) terminal: Arc<Terminal>,
    pub(crate) work_dir: Arc<WorkDir>,
    pub(crate) cancel: Cancel,
    pub(crate) runtime: Runtime,
}

impl Session {
    /// Starts; or says why not, and gives the exit code.
    pub(crate) fn start(
        logging: &LogArgs,
        work_dir: &Option<PathBuf>,
        used: &[&Entry],
    ) -> Result<Session, ExitCode> {
        let signals = signals::hold();
        let LogArgs { verbosity, log_format, log_timestamp } = *logging;
        let terminal = Arc::new(Terminal::new(log_format, verbosity, log_timestamp));
        crate::terminal::show_library_logs(log_format, verbosity);
        if let Err(error) = speak_of_kaniko(used, &terminal) {
            terminal.error(&error, crate::USAGE);
            return Err(ExitCode::from(crate::USAGE));
        }
        let cancel = Cancel::new();
        let started = WorkDir::create(&environment::work_dir(work_dir)).and_then(|work_dir| {
            let work_dir = Arc::new(work_dir);
            let runtime = signals
                .start_runtime(&cancel, Arc::downgrade(&work_dir), &terminal)
                .map_err(|error| Error::new(format!("start: {error}")))?;
            Ok((work_dir, runtime))
        });
        match started {
            Ok((work_dir, runtime)) => Ok(Session { terminal, work_dir, cancel, runtime }),
            Err(error) => {
                terminal.error(&error, 1);
                Err(ExitCode::FAILURE)
            }
        }
    }

    /// How to meet registries.
    pub(crate) fn client_options(&self, args: &RegistryArgs) -> anyhow::Result<ClientOptions> {
        let (options, chain, _clouds) = environment::client_options(args)?;
        speak_of_credentials(&chain, &self.terminal);
        Ok(options)
    }

    /// What it takes to bring files here, or small ones elsewhere.
    pub(crate) fn fetching<'a>(&'a self, network: &'a builder::Network) -> Fetching<'a> {
        Fetching {
            network,
            limit: None,
            // What is fetched here is no repository.
            secrets: const { &BTreeMap::new() },
            agents: const { &BTreeMap::new() },
            runtime: self.runtime.handle(),
            work_dir: &self.work_dir,
            cancel: &self.cancel,
        }
    }

    /// Ends: with what is to be printed, or with an error.
    pub(crate) fn end(self, outcome: Result<Option<String>, Error>) -> ExitCode {
        let Session { terminal, work_dir, cancel, runtime } = self;
        // Tasks hold on to the work directory, and one that writes would disturb its removal.
        runtime.shutdown_timeout(Duration::from_secs(1));
        let removed = work_dir.remove().map_err(|error| Error::new(format!("work directory: {error}")));
        let outcome = match (outcome, cancel.signal()) {
            // Whatever went wrong then went wrong for that reason.
            (Err(_), Some(signal)) => {
                let mut error = Error::new(format!("ended by signal {signal}"));
                error.exit_code = Some(128 + signal);
                Err(error)
            }
            (outcome, _) => outcome.and_then(|result| removed.map(|()| result)),
        };
        match outcome {
            Ok(result) => {
                if let Some(text) = result {
                    print_result(&text);
                }
                ExitCode::SUCCESS
            }
            Err(error) => {
                let code = error.exit_code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
                terminal.error(&error, code);
                ExitCode::from(code)
            }
        }
    }
}

/// Says what there is to say of the files that credentials are in.
pub(crate) fn speak_of_credentials(chain: &Chain, terminal: &Terminal) {
    for warning in &chain.warnings {
        terminal.line(Verbosity::Warn, warning, json!({ "event": "warning" }));
    }
    for note in &chain.notes {
        terminal.line(Verbosity::Debug, note, json!({ "event": "note" }));
    }
}

/// Says which of Kaniko's flags and variables do nothing, and why; the first one that is refused is the error.
pub(crate) fn speak_of_kaniko(used: &[&Entry], terminal: &Terminal) -> Result<(), Error> {
    if let Some(entry) = used.iter().find(|entry| entry.fate == Fate::Refused) {
        return Err(Error::new(format!("{} is not possible", entry.name)).hint(entry.note));
    }
    let flags = used.iter().map(|entry| (entry.name.to_owned(), entry.note.to_owned()));
    for (name, note) in flags.chain(environment::kaniko_variables()) {
        terminal.line(Verbosity::Info, &format!("note: {name}: {note}"), json!({ "event": "note" }));
    }
    Ok(())
}
