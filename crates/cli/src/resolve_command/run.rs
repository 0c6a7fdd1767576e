//! A run of `resolve`: read, find, look up and build, write.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use builder::WorkDir;
use registry::{Client, ClientOptions};
use resolve::{
    Build, Error, Inputs, Name, PlatformSelection, Printer, Resolution, Resolver, ResolverOptions,
    is_plain_http,
};
use sandbox::{Cancel, Isolation};
use tokio::runtime::Runtime;

use super::args::{Form, ResolveArgs, ResolveCommand};
use super::builds::Builds;
use super::relocate::{self, Errand};
use crate::terminal::{Terminal, print_line};
use crate::values::given;
use crate::{build_options, environment, signals};

/// The version of kbld that this behaves as.
const KBLD_VERSION: &str = "0.42.0";

/// In whose manner it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Ours.
    Bako,
    /// That of kbld.
    Kbld {
        /// To behave as on a terminal.
        tty: bool,
        /// To print one JSON object.
        json: bool,
    },
}

/// Does it, and says how it went.
pub(crate) fn run(args: ResolveArgs, manner: Manner) -> ExitCode {
    match execute(args, manner) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            match manner {
                Manner::Kbld { .. } => print_line(&format!("kbld: Error: {}", resolve::indented(&text))),
                Manner::Bako => print_line(&format!("error: {}", text.trim_start())),
            }
            ExitCode::FAILURE
        }
    }
}

fn execute(mut args: ResolveArgs, manner: Manner) -> Result<(), Error> {
    match args.command.take() {
        Some(ResolveCommand::Version) => {
            finish(format!("kbld version {KBLD_VERSION}\n").as_bytes(), manner, true)
        }
        Some(ResolveCommand::Inspect { file }) => {
            let mut inputs = Inputs::new();
            let mut session = Session::new(&args);
            read(&mut inputs, &file, &mut session)?;
            let rows = resolve::rows(&mut inputs)?;
            finish(table(&rows, manner).as_bytes(), manner, false)
        }
        Some(ResolveCommand::Relocate { from, to }) => {
            relocate::run(from, &Errand::Relocate(to), args, manner)
        }
        Some(ResolveCommand::Package { from, output }) => {
            relocate::run(from, &Errand::Package { output }, args, manner)
        }
        Some(ResolveCommand::Unpackage { from, input, to }) => {
            relocate::run(from, &Errand::Unpackage { input, to }, args, manner)
        }
        None => resolve(&args, manner),
    }
}

fn resolve(args: &ResolveArgs, manner: Manner) -> Result<(), Error> {
    if given(&args.lock_output).is_some() && given(&args.imgpkg_lock_output).is_some() {
        return Err(Error::new(
            "Can only output one lockfile type, please provide only one of '--lock-output' or '--imgpkg-lock-output'",
        ));
    }
    let platform = args.platform.as_deref().map(PlatformSelection::parse).transpose().map_err(Error::new)?;
    if args.file.is_empty() {
        return Ok(());
    }
    let mut inputs = Inputs::new();
    let mut session = Session::new(args);
    read(&mut inputs, &args.file, &mut session)?;
    if let Some(path) = given(&args.image_map_file) {
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
            what: format!("Reading image map '{}'", path.display()),
            source,
        })?;
        let overrides = resolve::image_map(&text)?;
        inputs.config_mut().overrides.extend(overrides);
    }
    let references = inputs.references()?;
    if args.unresolved_inspect {
        let lines: String = references.keys().map(|image| format!("- image: {}\n", scalar(image))).collect();
        return finish(lines.as_bytes(), manner, false);
    }
    let config = inputs.config().clone();
    let builds = !config.sources.is_empty();
    let named = config.overrides.iter().map(|one| one.new_image.as_str());
    let named = named.chain(config.destinations.iter().map(|one| one.new_image.as_str()));
    let client_options = client_options(args, named.chain(references.keys().map(String::as_str)))?;
    let client = Client::new(client_options).map_err(|error| Error::new(error.to_string()))?;
    let terminal = Arc::new(Terminal::new(args.log_format, args.verbosity, false));
    let builder = session.builder(builds, &client, &terminal)?;
    let options = ResolverOptions {
        config,
        platform,
        build: args.build,
        concurrency: args.concurrency,
        build_concurrency: args.build_concurrency,
    };
    let resolver = Resolver::new(options, client, builder);
    let runtime = session.runtime()?;
    let outcomes = runtime.block_on(resolver.resolve_all(references.keys().cloned()));
    session.check_cancel()?;
    let mut resolved: BTreeMap<String, Resolution> = BTreeMap::new();
    let mut failed = Vec::new();
    for (reference, outcome) in outcomes {
        match outcome {
            Ok(resolution) => {
                resolved.insert(reference, resolution);
            }
            Err(error) => {
                let place = match (manner, references.get(&reference)) {
                    (Manner::Bako, Some(place)) => format!(" ({place})"),
                    _ => String::new(),
                };
                failed.push(format!("Resolving image '{reference}'{place}: {error}"));
            }
        }
    }
    if !failed.is_empty() {
        return Err(Error::Several(failed));
    }
    for (reference, resolution) in &resolved {
        print_line(&format!("resolve | final: {reference} -> {}", resolution.url));
    }
    if let Some(path) = given(&args.lock_output) {
        write_lock(&path, &resolve::lock(&resolved, inputs.config())?)?;
    }
    if let Some(path) = given(&args.imgpkg_lock_output) {
        write_lock(&path, &resolve::images_lock(&resolved, args.origins_annotation)?)?;
    }
    print_documents(&mut inputs, args.output, args.images_annotation, &resolved, manner)
}

/// Prints all documents, or nothing if one of them cannot be.
pub(super) fn print_documents(
    inputs: &mut Inputs,
    form: Option<Form>,
    annotate: bool,
    resolved: &BTreeMap<String, Resolution>,
    manner: Manner,
) -> Result<(), Error> {
    let printer = match (form, manner) {
        (Some(Form::Text), _) | (None, Manner::Bako) => Printer::InPlace,
        (Some(Form::Kbld), _) | (None, Manner::Kbld { .. }) => Printer::Kbld,
    };
    let mut out = tempfile::spooled_tempfile(4 << 20);
    inputs.print(printer, annotate, &|reference| resolved.get(reference), &mut out)?;
    let failed = |source| Error::Io { what: "write the documents".to_owned(), source };
    out.seek(SeekFrom::Start(0)).map_err(failed)?;
    write_out(out, manner)
}

/// Reads everything that was named, in that order.
pub(super) fn read(inputs: &mut Inputs, files: &[String], session: &mut Session<'_>) -> Result<(), Error> {
    for name in files {
        if name == "-" {
            inputs.add("stdin", std::io::stdin().lock())?;
        } else if name.starts_with("http://") || name.starts_with("https://") {
            let file = session.fetch(name)?;
            inputs.add(&format!("HTTP URL '{name}'"), BufReader::new(file))?;
        } else {
            inputs.add_path(Path::new(name))?;
        }
    }
    Ok(())
}

/// What a run needs only if there is something to fetch or to build.
pub(super) struct Session<'a> {
    args: &'a ResolveArgs,
    cancel: Cancel,
    work_dir: Option<Arc<WorkDir>>,
    /// Or why there is none for a RUN.
    isolation: Option<Result<Arc<dyn Isolation>, String>>,
    runtime: Option<Runtime>,
}

impl<'a> Session<'a> {
    pub(super) fn new(args: &'a ResolveArgs) -> Self {
        Session { args, cancel: Cancel::new(), work_dir: None, isolation: None, runtime: None }
    }

    /// A directory to work in, the isolation, and a runtime that listens for signals: in this order, since choosing may
    /// move this process into a user namespace, which cannot be done once there are threads.
    fn prepare(&mut self, terminal: &Arc<Terminal>) -> Result<&Runtime, Error> {
        if self.work_dir.is_none() {
            let held = signals::hold();
            let work_dir = WorkDir::create(&environment::work_dir(&self.args.work_dir));
            let work_dir = Arc::new(work_dir.map_err(|error| Error::new(error.to_string()))?);
            self.isolation = Some(build_options::choose(self.args.isolation, &[], work_dir.path()));
            if let Err(error) = sandbox::protect_self() {
                print_line(&format!("warning: this process cannot be hidden from a RUN: {error}"));
            }
            let started = held.start_runtime(&self.cancel, Arc::downgrade(&work_dir), terminal);
            self.runtime = Some(started.map_err(|error| Error::new(format!("start: {error}")))?);
            self.work_dir = Some(work_dir);
        }
        self.runtime()
    }

    /// The runtime; without anything to clean up, signals end the program as they do.
    fn runtime(&mut self) -> Result<&Runtime, Error> {
        if self.runtime.is_none() {
            let started = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            self.runtime = Some(started.map_err(|error| Error::new(format!("start: {error}")))?);
        }
        Ok(self.runtime.as_ref().expect("it was just started"))
    }

    /// Who builds: nobody if there is nothing to build.
    fn builder(
        &mut self,
        needed: bool,
        client: &Client,
        terminal: &Arc<Terminal>,
    ) -> Result<Arc<dyn Build>, Error> {
        if !needed || !self.args.build {
            return Ok(Arc::new(Nobody));
        }
        self.prepare(terminal)?;
        let (Some(work_dir), Some(isolation), Some(runtime)) =
            (&self.work_dir, &self.isolation, &self.runtime)
        else {
            return Err(Error::new("start: there is no work directory"));
        };
        Ok(Arc::new(Builds {
            work_dir: work_dir.clone(),
            isolation: isolation.clone(),
            runtime: runtime.handle().clone(),
            cancel: self.cancel.clone(),
            client: client.clone(),
            cache_dir: environment::cache_dir(&self.args.cache_dir),
            layouts: given(&self.args.oci_layout_path),
            log_format: self.args.log_format,
            verbosity: self.args.verbosity,
        }))
    }

    /// A document from elsewhere, as a file that is gone once it is read.
    fn fetch(&mut self, url: &str) -> Result<std::fs::File, Error> {
        let terminal = Arc::new(Terminal::new(self.args.log_format, self.args.verbosity, false));
        let fails = |error: &dyn std::fmt::Display| Error::new(format!("Requesting URL '{url}': {error}"));
        let (options, ..) = environment::client_options(&self.args.registries)
            .map_err(|error| fails(&format!("{error:#}")))?;
        let downloader = download::Downloader::new(options.network()).map_err(|error| fails(&error))?;
        let request = download::Request::new(url).map_err(|error| fails(&error))?;
        self.prepare(&terminal)?;
        let (Some(work_dir), Some(runtime)) = (&self.work_dir, &self.runtime) else {
            return Err(fails(&"there is no work directory"));
        };
        match runtime.block_on(downloader.fetch(&request, work_dir.path())) {
            Ok(download::Outcome::Fetched(fetched)) => {
                let file = std::fs::File::open(&fetched.path).map_err(|error| fails(&error))?;
                std::fs::remove_file(&fetched.path).map_err(|error| fails(&error))?;
                Ok(file)
            }
            Ok(download::Outcome::NotModified) => Err(fails(&"nothing came")),
            Err(error) => Err(fails(&error)),
        }
    }

    /// A directory to work in.
    pub(super) fn work_dir(&mut self) -> Result<Arc<WorkDir>, Error> {
        let terminal = Arc::new(Terminal::new(self.args.log_format, self.args.verbosity, false));
        self.prepare(&terminal)?;
        self.work_dir.clone().ok_or_else(|| Error::new("start: there is no work directory"))
    }

    /// Waits for work, or for a signal that ends it, so that what it has made is removed.
    pub(super) fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let terminal = Arc::new(Terminal::new(self.args.log_format, self.args.verbosity, false));
        self.prepare(&terminal)?;
        let cancel = self.cancel.clone();
        let done = self.runtime()?.block_on(async move {
            tokio::select! {
                done = work => Some(done),
                _ = builder::cancelled(&cancel) => None,
            }
        });
        self.check_cancel()?;
        done.ok_or_else(|| Error::new("ended by a signal"))
    }

    fn check_cancel(&self) -> Result<(), Error> {
        match self.cancel.signal() {
            Some(signal) => Err(Error::new(format!("ended by signal {signal}"))),
            None => Ok(()),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Tasks hold on to the work directory, and one that writes would disturb its removal.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// There is nothing to build.
struct Nobody;

impl Build for Nobody {
    fn build(&self, job: &resolve::Job) -> Result<resolve::Built, String> {
        Err(format!("image '{}' is not to be built", job.image))
    }
}

/// How to meet the registries of this run: what kbld's flags and variables say goes for all of them.
pub(super) fn client_options<'n>(
    args: &ResolveArgs,
    named: impl Iterator<Item = &'n str>,
) -> Result<ClientOptions, Error> {
    let (mut options, ..) =
        environment::client_options(&args.registries).map_err(|error| Error::new(format!("{error:#}")))?;
    let kbld = &args.kbld_registries;
    options.plain_http.pull |= kbld.registry_insecure;
    options.plain_http.push |= kbld.registry_insecure;
    options.skip_tls_verify.pull |= !kbld.registry_verify_certs;
    options.skip_tls_verify.push |= !kbld.registry_verify_certs;
    options.parallel = options.parallel.max(4);
    let keychain = environment::kbld_keychain().map_err(|error| Error::new(format!("{error:#}")))?;
    options.keychain = keychain.or(options.keychain);
    let registries: BTreeSet<String> = named
        .filter_map(|text| {
            let base = text.split('@').next().unwrap_or(text);
            Name::tagged(base).ok()?.reference().ok().map(|reference| reference.registry().to_owned())
        })
        .collect();
    options
        .plain_http
        .registries
        .extend(registries.iter().filter(|registry| is_plain_http(registry)).cloned());
    let mut authorities = String::new();
    for path in &kbld.registry_ca_cert_path {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(format!("Reading CA certificates from '{}': {error}", path.display()))
        })?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(Error::new(format!("Adding CA certificates from '{}': failed", path.display())));
        }
        authorities.push_str(&text);
        authorities.push('\n');
    }
    if !authorities.is_empty() {
        for registry in registries {
            options.certificates.entry(registry).or_default().push_str(&authorities);
        }
    }
    Ok(options)
}

/// A lock is for its owner alone.
pub(super) fn write_lock(path: &PathBuf, text: &str) -> Result<(), Error> {
    let failed = |source| Error::Io { what: format!("Writing lock file '{}'", path.display()), source };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// A scalar of YAML on a line of its own.
fn scalar(text: &str) -> String {
    yaml::print(&yaml::Node::text(text)).map_or_else(|_| text.to_owned(), |text| text.trim_end().to_owned())
}

/// Short output, with what kbld adds to it.
pub(super) fn finish(bytes: &[u8], manner: Manner, succeeded: bool) -> Result<(), Error> {
    let failed = |source| Error::Io { what: "write to standard output".to_owned(), source };
    if let Manner::Kbld { json: true, .. } = manner {
        return write_out(bytes, manner);
    }
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).map_err(failed)?;
    if let Manner::Kbld { tty, .. } = manner
        && (tty || succeeded || out.is_terminal())
    {
        out.write_all(b"\nSucceeded\n").map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// The documents, on standard output.
fn write_out(mut documents: impl Read, manner: Manner) -> Result<(), Error> {
    let failed = |source| Error::Io { what: "write the documents to standard output".to_owned(), source };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match manner {
        Manner::Kbld { json: true, .. } => {
            let mut text = String::new();
            documents.read_to_string(&mut text).map_err(failed)?;
            let starts = text.match_indices("---\n").map(|(at, _)| at);
            let starts: Vec<usize> = starts.filter(|at| *at == 0 || text[..*at].ends_with('\n')).collect();
            let ends = starts.iter().skip(1).copied().chain([text.len()]);
            let blocks: Vec<&str> = starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect();
            let blocks = if starts.is_empty() && !text.is_empty() { vec![text.as_str()] } else { blocks };
            let lists = |list: &[&str]| match list {
                [] => "null".to_owned(),
                list => {
                    let quoted: Vec<String> =
                        list.iter().map(|text| format!("        {}", json_string(text))).collect();
                    format!("[\n{}\n    ]", quoted.join(",\n"))
                }
            };
            let blocks = lists(&blocks);
            let lines = lists(&["Succeeded"]);
            write!(out, "{{\n    \"Tables\": null,\n    \"Blocks\": {blocks},\n    \"Lines\": {lines}\n}}")
                .map_err(failed)?;
        }
        Manner::Kbld { tty, .. } => {
            std::io::copy(&mut documents, &mut out).map_err(failed)?;
            if tty || std::io::stdout().is_terminal() {
                out.write_all(b"\nSucceeded\n").map_err(failed)?;
            }
        }
        Manner::Bako => {
            std::io::copy(&mut documents, &mut out).map_err(failed)?;
        }
    }
    out.flush().map_err(failed)
}

fn json_string(text: &str) -> String {
    yaml::print_json(&yaml::Node::text(text)).unwrap_or_default()
}

/// Images with their resources: for a program each value on a line, for people with the names of the columns.
fn table(rows: &[resolve::Row], manner: Manner) -> String {
    let is_terminal = match manner {
        Manner::Kbld { tty: true, .. } => true,
        _ => std::io::stdout().is_terminal(),
    };
    let mut out = String::new();
    if is_terminal {
        out.push_str("Images\n\n");
    }
    for (index, row) in rows.iter().enumerate() {
        let values = [("Image", &row.image), ("Metadata", &row.metadata), ("Resource", &row.resource)];
        for (name, value) in values {
            let value = if value.is_empty() { "-" } else { value.trim_end() };
            for (number, line) in value.lines().enumerate() {
                match (is_terminal, number) {
                    (true, 0) => out.push_str(&format!("{name:<8}  {line}\n")),
                    (true, _) => out.push_str(&format!("{:<8}  {line}\n", "")),
                    (false, _) => out.push_str(&format!("{line}\t\n")),
                }
            }
        }
        if index + 1 < rows.len() || is_terminal {
            out.push('\n');
        }
    }
    if is_terminal {
        out.push_str(&format!("{} images\n", rows.len()));
    }
    out
}
