//! `bako registry serve`: the small registry, until a signal ends it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::log_args::{LogFormat, Verbosity};
use crate::terminal::{Terminal, show_library_logs};

/// Serves `dir`. The address goes to stderr once requests are taken, which matters for port 0.
pub(crate) fn run(dir: PathBuf, listen: SocketAddr) -> ExitCode {
    let terminal = Terminal::new(LogFormat::Text, Verbosity::Info, false);
    show_library_logs(LogFormat::Text, Verbosity::Info);
    let shown = dir.display().to_string();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            runtime.block_on(async {
                let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
                let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
                let options = server::Options { dir, listen, credentials: None };
                let server = server::serve(options).await.map_err(|error| error.to_string())?;
                let address = server.local_addr();
                let text = format!("serving {shown} on {address}");
                terminal.line(
                    Verbosity::Info,
                    &text,
                    json!({ "event": "serving", "address": address.to_string() }),
                );
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                server.shutdown().await;
                Ok(())
            })
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            terminal.line(Verbosity::Error, &message, json!({}));
            ExitCode::FAILURE
        }
    }
}
