//! `relocate`, `package` and `unpackage`: pinned images brought elsewhere, at once or by way of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use images::{BundleEvent, Bundled};
use registry::Client;
use resolve::{Error, Inputs, Name};

use super::args::{Form, KbldRegistryArgs, ResolveArgs};
use super::run::{Manner, Session, client_options, finish, print_documents, read, write_lock};
use crate::registry_args::RegistryArgs;
use crate::terminal::print_line;
use crate::values::{given, path};

/// What all three are told.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// A file, a directory, an address (https://…), or `-` for standard input. May be repeated.
    #[arg(long, short = 'f', value_name = "FILE", value_delimiter = ',')]
    pub(crate) file: Vec<String>,
    /// Images and layers that are on their way at the same time.
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    pub(crate) concurrency: usize,
    #[command(flatten)]
    pub(crate) kbld_registries: KbldRegistryArgs,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    /// Where to work.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
}

/// Where images go, and what is written of it.
#[derive(Debug, Args)]
pub(crate) struct ToArgs {
    /// The repository that takes all images.
    #[arg(long, short = 'r', value_name = "REPOSITORY", default_value = "", hide_default_value = true)]
    pub(crate) repository: String,
    /// Write a Config that leads to the images in their new place.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) lock_output: Option<PathBuf>,
    /// How the documents are printed.
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) output: Option<Form>,
}

/// Which of them.
#[derive(Debug)]
pub(crate) enum Errand {
    Relocate(ToArgs),
    Package { output: Option<PathBuf> },
    Unpackage { input: Option<PathBuf>, to: ToArgs },
}

impl Errand {
    fn name(&self) -> &'static str {
        match self {
            Errand::Relocate(_) => "relocate",
            Errand::Package { .. } => "package",
            Errand::Unpackage { .. } => "unpackage",
        }
    }

    /// What kbld says first.
    fn deprecation(&self) -> String {
        let instead = match self {
            Errand::Relocate(_) => "copy",
            Errand::Package { .. } => "push",
            Errand::Unpackage { .. } => "pull",
        };
        format!(
            "Warning: Command \"{}\" is deprecated, please use 'imgpkg {instead}', learn more in https://carvel.dev/imgpkg/docs/latest/commands/#{instead}",
            self.name()
        )
    }
}

/// Does it.
pub(crate) fn run(
    from: FromArgs,
    errand: &Errand,
    mut args: ResolveArgs,
    manner: Manner,
) -> Result<(), Error> {
    if let Manner::Kbld { .. } = manner {
        print_line(&errand.deprecation());
    }
    if from.file.is_empty() {
        return Err(Error::new("Expected at least one input file"));
    }
    let file = |flag: &str, path: &Option<PathBuf>| {
        given(path).ok_or_else(|| Error::new(format!("Expected '{flag}' flag to be non-empty")))
    };
    let target = match errand {
        Errand::Relocate(to) | Errand::Unpackage { to, .. } => Some(repository(&to.repository)?),
        Errand::Package { .. } => None,
    };
    args.registries = from.registries;
    args.kbld_registries = from.kbld_registries;
    args.work_dir = from.work_dir;
    let mut session = Session::new(&args);
    let mut inputs = Inputs::new();
    read(&mut inputs, &from.file, &mut session)?;
    let pinned = inputs.pinned()?;
    let images = bundled(&pinned)?;
    let base = target.as_ref().map(Name::base);
    let registries = images.iter().map(|image| image.name.as_str()).chain(base.as_deref());
    let options = client_options(&args, registries)?;
    let client = Client::new(options).map_err(|error| Error::new(error.to_string()))?;
    let told = |error: images::Error| Error::new(error.to_string());
    let name = errand.name();
    let say = |text: String| print_line(&format!("{name} | {text}"));
    let report = |event: BundleEvent<'_>| match (event, &base) {
        (BundleEvent::Exporting(image), _) => say(format!("will export {image}")),
        (BundleEvent::Layers, _) => {
            say(format!("exported {} images", images.len()));
            say("writing layers...".to_owned());
        }
        (BundleEvent::Layer(file, took), _) => say(format!("done: file '{file}' ({took:.0?})")),
        (BundleEvent::Importing(image), base) => {
            say(format!("importing {image} -> {}...", base.as_deref().unwrap_or_default()));
        }
    };
    let (to, places) = match (errand, &target) {
        (Errand::Package { output }, _) => {
            let output = file("output", output)?;
            say(format!("exporting {} images...", images.len()));
            let work = images::package(&client, &images, &output, from.concurrency, &report);
            session.wait_for(work)?.map_err(told)?;
            return finish(b"", manner, false);
        }
        (Errand::Relocate(to), Some(target)) => {
            let reference = target.reference().map_err(Error::new)?;
            let work = images::relocate(&client, &images, &reference, from.concurrency, &report);
            (to, session.wait_for(work)?.map_err(told)?)
        }
        (Errand::Unpackage { input, to }, Some(target)) => {
            let (input, reference) = (file("input", input)?, target.reference().map_err(Error::new)?);
            let directory = session.work_dir()?;
            let work =
                images::unpackage(&client, &input, &reference, from.concurrency, directory.path(), &report);
            (to, session.wait_for(work)?.map_err(told)?)
        }
        (Errand::Relocate(_) | Errand::Unpackage { .. }, None) => {
            return Err(Error::new(NO_REPOSITORY));
        }
    };
    say(format!("imported {} images", places.len()));
    let place = |digest| target.as_ref().map(|target| target.at(digest).to_string()).unwrap_or_default();
    let places: BTreeMap<String, String> =
        places.into_iter().map(|(name, digest)| (name, place(digest))).collect();
    let relocated = resolve::relocated(&pinned, &places)?;
    if let Some(path) = given(&to.lock_output) {
        write_lock(&path, &resolve::relocation_lock(&relocated, inputs.config())?)?;
    }
    print_documents(&mut inputs, to.output, false, &relocated, manner)
}

const NO_REPOSITORY: &str = "Expected repository flag to be non-empty";

/// The repository that is to take the images.
fn repository(text: &str) -> Result<Name, Error> {
    if text.is_empty() {
        return Err(Error::new(NO_REPOSITORY));
    }
    let name = Name::tagged(text).map_err(Error::new)?;
    match name.tag.is_some() || text.contains('@') {
        true => Err(Error::new(format!("Expected repository '{text}' to have neither a tag nor a digest"))),
        false => Ok(name),
    }
}

/// The images that texts mean, each once.
fn bundled(pinned: &BTreeMap<String, Name>) -> Result<Vec<Bundled>, Error> {
    let mut images: BTreeMap<String, Bundled> = BTreeMap::new();
    for name in pinned.values() {
        let (text, reference) = (name.to_string(), name.reference().map_err(Error::new)?);
        images.insert(text.clone(), Bundled { name: text, reference });
    }
    Ok(images.into_values().collect())
}
