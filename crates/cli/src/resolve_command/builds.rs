//! Builds of sources: each is a build of ours, with a work directory of its own and its name before every line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::WorkDir;
use oci::Reference;
use registry::Client;
use resolve::{Build, Builder, Built, DockerBuild, Job, Name, Origin, git_origin};
use sandbox::{Cancel, Isolation};
use tokio::runtime::Handle;

use super::flags::{command_line, refuse_settled};
use super::program;
use crate::args::Cli;
use crate::log_args::{LogFormat, Verbosity};
use crate::terminal::{Terminal, print_line};
use crate::values::given;
use crate::{build_options, session};

/// What all builds of a run share.
pub(crate) struct Builds {
    pub(crate) work_dir: Arc<WorkDir>,
    pub(crate) isolation: Result<Arc<dyn Isolation>, String>,
    pub(crate) runtime: Handle,
    pub(crate) cancel: Cancel,
    pub(crate) client: Client,
    pub(crate) cache_dir: Option<PathBuf>,
    /// Where images without a destination go.
    pub(crate) layouts: Option<PathBuf>,
    pub(crate) log_format: LogFormat,
    pub(crate) verbosity: Verbosity,
}

impl Build for Builds {
    fn build(&self, job: &Job) -> Result<Built, String> {
        let path = Path::new(&job.source.path);
        let checking =
            |reason: &str| format!("Checking if path '{}' is a directory: {reason}", path.display());
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(format!("Expected path '{}' to be a directory, but was not", path.display()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(checking(&format!("stat {}: no such file or directory", path.display())));
            }
            Err(error) => return Err(checking(&error.to_string())),
        }
        let absolute = std::path::absolute(path).map_err(|error| checking(&error.to_string()))?;
        let absolute = absolute.canonicalize().map_err(|error| checking(&error.to_string()))?;
        let mut origins = vec![Origin::Local { path: absolute.display().to_string() }];
        origins.extend(git_origin(&absolute));
        let place = self.place(job)?;
        let by = match &job.source.builder {
            Builder::Docker(_) => "bako",
            Builder::Pack(_) => "pack",
            Builder::Program(build) => program::name(build),
        };
        print_line(&format!(
            "{} | starting build (using {by}): {} -> {}",
            job.image,
            job.source.path,
            place.name()
        ));
        let digest = match (&job.source.builder, &place) {
            (Builder::Docker(docker), place) => self.build_from_dockerfile(job, docker, &absolute, place)?,
            (builder, Place::Registry { named, .. }) => {
                self.build_by_program(job, builder, &absolute, &named.reference()?)?
            }
            (_, Place::Layout { .. }) => {
                return Err(format!(
                    "{by} pushes what it builds to a registry: add `destinations: [{{image: {}, newImage: REGISTRY/REPOSITORY}}]` to a Config",
                    job.image
                ));
            }
        };
        print_line(&format!("{} | finished build (using {by})", job.image));
        if let Some(destination) = job.destination.as_ref().filter(|destination| !destination.tags.is_empty())
        {
            origins.push(Origin::Tagged { tags: destination.tags.clone() });
        }
        Ok(Built { url: place.named().at(digest).to_string(), origins })
    }
}

/// Where an image goes.
enum Place {
    Registry { named: Name, destinations: Vec<Reference> },
    Layout { named: Name, directory: PathBuf },
}

impl Place {
    fn named(&self) -> &Name {
        match self {
            Place::Registry { named, .. } | Place::Layout { named, .. } => named,
        }
    }

    fn name(&self) -> String {
        match self {
            Place::Registry { named, .. } => named.base(),
            Place::Layout { directory, .. } => directory.display().to_string(),
        }
    }
}

impl Builds {
    fn place(&self, job: &Job) -> Result<Place, String> {
        match (&job.destination, &self.layouts) {
            (Some(destination), _) => {
                let named = Name::tagged(&destination.new_image)?;
                if named.tag.is_some() || destination.new_image.contains('@') {
                    let image = &destination.new_image;
                    return Err(format!(
                        "Expected destination '{image}' to have neither a tag nor a digest; list tags in its field tags"
                    ));
                }
                let reference = named.reference()?;
                let mut destinations: Vec<Reference> =
                    destination.tags.iter().map(|tag| reference.with_tag(tag)).collect();
                if destinations.is_empty() {
                    // Without a tag it is pushed by its digest.
                    destinations.push(
                        reference.name().parse().map_err(|error: oci::ReferenceError| error.to_string())?,
                    );
                }
                Ok(Place::Registry { named, destinations })
            }
            (None, Some(layouts)) => {
                let named = Name { tag: None, digest: None, ..Name::tagged(&job.image)? };
                Ok(Place::Layout { directory: layouts.join(job.image.replace(['/', ':', '@'], "_")), named })
            }
            (None, None) => Err(format!(
                "image '{0}' has a source and no destination, and there is no daemon that could keep it: add `destinations: [{{image: {0}, newImage: REGISTRY/REPOSITORY}}]` to a Config, or give --oci-layout-path",
                job.image
            )),
        }
    }

    fn build_from_dockerfile(
        &self,
        job: &Job,
        docker: &DockerBuild,
        path: &Path,
        place: &Place,
    ) -> Result<oci::Digest, String> {
        let lines = Prefixed { name: job.image.clone() };
        refuse_settled(&docker.raw_options)
            .map_err(|error| format!("rawOptions of image '{}': {error}", job.image))?;
        let terminal = Arc::new(Terminal::to(Box::new(lines), self.log_format, self.verbosity));
        let args = Cli::read(command_line(docker, path).into_iter().map(Into::into));
        let (cli, used) = args.map_err(|error| {
            let error = crate::usage_error(&error);
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("rawOptions of image '{}': {}{hint}", job.image, error.message)
        })?;
        session::speak_of_kaniko(&used, &terminal).map_err(|error| {
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("rawOptions of image '{}': {}{hint}", job.image, error.message)
        })?;
        let work_dir = WorkDir::create(self.work_dir.path()).map_err(|error| error.to_string())?;
        let isolation = self.isolation.clone();
        let prepared = build_options::prepare(
            &cli.build,
            Arc::new(work_dir),
            isolation,
            terminal.clone(),
            &self.cancel,
            &self.runtime,
        );
        let mut options = prepared.map_err(|error| format!("{error:#}"))?;
        options.client = self.client.clone();
        // One of its own goes before that of the run.
        options.cache_dir = given(&cli.build.cache_dir).or_else(|| self.cache_dir.clone());
        options.outputs.builder_output = None;
        match place {
            Place::Registry { destinations, .. } => {
                options.outputs.destinations.clone_from(destinations);
                options.outputs.no_push = false;
            }
            Place::Layout { directory, .. } => {
                std::fs::create_dir_all(directory)
                    .map_err(|error| format!("{}: {error}", directory.display()))?;
                options.outputs.oci_layout_path = Some(directory.clone());
            }
        }
        let platforms = cli.build.platforms();
        let built = match platforms.len() {
            0 | 1 => builder::build(&options, self.runtime.clone()),
            _ => builder::build_platforms(&options, &platforms, self.runtime.clone()),
        };
        match built {
            Ok(outcome) => Ok(outcome.digest),
            Err(error) => {
                terminal.error(&error, 1);
                Err(format!("Building image from '{}': {}", job.source.path, error.message))
            }
        }
    }
}

impl Builds {
    /// Has another program build an image and push it; what it pushed is looked up where it does not say.
    fn build_by_program(
        &self,
        job: &Job,
        builder: &Builder,
        path: &Path,
        to: &Reference,
    ) -> Result<oci::Digest, String> {
        let tags = job.destination.as_ref().map(|one| one.tags.as_slice()).unwrap_or_default();
        let command = program::Program::of(builder, to, tags)
            .ok_or_else(|| format!("image '{}' is built from a Dockerfile", job.image))?;
        let lines = || Prefixed { name: job.image.clone() };
        let printed = command.run(path, &self.cancel, lines)?;
        if let Some(digest) = program::pushed_digest(&printed, to) {
            return Ok(digest);
        }
        let tagged = to.with_tag(tags.first().map_or("latest", String::as_str));
        let found = self.runtime.block_on(self.client.head_manifest(&tagged));
        found
            .map(|descriptor| descriptor.digest)
            .map_err(|error| format!("{} is done, and has not pushed {tagged}: {error}", command.name()))
    }
}

/// Standard error, with a name before each line.
struct Prefixed {
    name: String,
}

impl Write for Prefixed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut out = Vec::with_capacity(bytes.len() + self.name.len() + 3);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(b" | ");
            out.extend_from_slice(line);
        }
        std::io::stderr().write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
