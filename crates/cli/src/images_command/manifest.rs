//! `bako manifest`: what `docker manifest` does, on the same local store, and pushing in one step.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use images::{ListType, Members, Spec, Store, Stored, Wanted, gather_all, is_known, push};
use oci::{ManifestOrIndex, Platform, Reference};
use registry::Client;

use super::{client, finish, runtime, told};
use crate::registry_args::RegistryArgs;
use crate::values::{Pair, pair, path};
use crate::{environment, terminal};

/// What to do with indexes.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Make a list on this machine, to be annotated and pushed.
    Create(CreateArgs),
    /// Say what a member of a list is for.
    Annotate(AnnotateArgs),
    /// Show a list, or an image.
    Inspect(InspectArgs),
    /// Push a list, one that was made here or one of --from or --from-spec.
    Push(PushArgs),
    /// Remove lists from this machine.
    Rm {
        /// The lists.
        #[arg(required = true)]
        lists: Vec<Reference>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The list.
    list: Reference,
    /// Its members, of any repository.
    #[arg(required = true)]
    images: Vec<Reference>,
    /// Add to a list that is there.
    #[arg(long, short = 'a')]
    amend: bool,
    /// Take indexes apart into their images, instead of refusing them.
    #[arg(long)]
    indexes: bool,
    #[command(flatten)]
    registries: RegistryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AnnotateArgs {
    /// The list.
    list: Reference,
    /// The member.
    image: Reference,
    /// Its system.
    #[arg(long, default_value = "")]
    os: String,
    /// Its processor.
    #[arg(long, default_value = "")]
    arch: String,
    /// The processor's variant.
    #[arg(long, default_value = "")]
    variant: String,
    /// The system's version.
    #[arg(long, default_value = "")]
    os_version: String,
    /// Features of the system, added to those it has.
    #[arg(long, value_delimiter = ',')]
    os_features: Vec<String>,
    /// An annotation of the member in the list, as NAME=VALUE; OCI lists only. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    annotation: Vec<Pair>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A list, if an image of it is meant.
    list: Reference,
    /// The image.
    image: Option<Reference>,
    /// Show what is stored of it.
    #[arg(long, short = 'v')]
    verbose: bool,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// The type of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeArg {
    /// That of the first member.
    Auto,
    /// An OCI index.
    Oci,
    /// A Docker manifest list.
    Docker,
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The list.
    #[arg(required_unless_present = "from_spec")]
    list: Option<Reference>,
    /// A member; then nothing of this machine's store is used, and members keep this order. With its platform before
    /// it, it need not be asked what it is for. May be repeated.
    #[arg(long, value_name = "[PLATFORM=]IMAGE", value_parser = member, conflicts_with = "from_spec")]
    from: Vec<Wanted>,
    /// A file of manifest-tool that says what to join.
    #[arg(long, value_name = "FILE", value_parser = path(), conflicts_with = "list")]
    from_spec: Option<PathBuf>,
    /// Leave out members of the file that are not there.
    #[arg(long, requires = "from_spec")]
    ignore_missing: bool,
    /// The type of the list.
    #[arg(long = "type", value_enum, default_value = "auto")]
    list_type: TypeArg,
    /// A further tag for the list. May be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// An annotation of the list, as NAME=VALUE; OCI lists only. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    annotation: Vec<Pair>,
    /// Remove the list from this machine once it is pushed.
    #[arg(long, short = 'p')]
    purge: bool,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// Does it.
pub(crate) fn run(command: ManifestCommand) -> ExitCode {
    let Some(docker) = environment::docker_config() else {
        terminal::print_error("there is no place for lists: set DOCKER_CONFIG or HOME");
        return ExitCode::FAILURE;
    };
    let store = Store::new(docker.join("manifests"));
    match command {
        ManifestCommand::Create(args) => finish(|| create(&store, &args)),
        ManifestCommand::Annotate(args) => finish(|| annotate(&store, &args)),
        ManifestCommand::Inspect(args) => finish(|| inspect(&store, &args)),
        ManifestCommand::Push(args) => finish(|| push_list(&store, &args)),
        ManifestCommand::Rm { lists } => remove(&store, &lists),
    }
}

/// With a tag, unless there is a digest.
fn full(reference: &Reference) -> Reference {
    match (reference.tag(), reference.digest()) {
        (None, None) => reference.with_tag("latest"),
        _ => reference.clone(),
    }
}

fn create(store: &Store, args: &CreateArgs) -> Result<()> {
    if store.has(&args.list) && !args.amend {
        bail!("refusing to amend an existing manifest list with no --amend flag");
    }
    let client = client(&args.registries)?;
    let members = if args.indexes { Members::Indexes } else { Members::Images };
    let runtime = runtime()?;
    let mut wanted = Vec::new();
    for image in &args.images {
        // What is there already stays as it was annotated.
        if store.member(&args.list, image)?.is_none() {
            wanted.push(Wanted { reference: image.clone(), members, platform: None });
        }
    }
    let found = runtime.block_on(fetch(&client, &wanted))?;
    found.iter().try_for_each(|stored| store.put(&args.list, stored)).map_err(told)?;
    terminal::print_result(&format!("Created manifest list {}", full(&args.list)));
    Ok(())
}

/// `[PLATFORM=]IMAGE`; neither has such a sign in it.
fn member(text: &str) -> Result<Wanted, String> {
    let (platform, image) = match text.split_once('=') {
        Some((platform, image)) => (Some(platform), image),
        None => (None, text),
    };
    let platform: Option<Platform> =
        platform.map(str::parse).transpose().map_err(|error| format!("{error}"))?;
    if let Some(unknown) = platform.as_ref().filter(|one| !is_known(&one.os, &one.architecture)) {
        return Err(format!("there is no platform {unknown}"));
    }
    Ok(Wanted {
        reference: image.parse().map_err(|error: oci::ReferenceError| error.to_string())?,
        members: Members::Indexes,
        platform,
    })
}

/// The members that images are, in their order.
async fn fetch(client: &Client, wanted: &[Wanted]) -> Result<Vec<Stored>> {
    let mut members = Vec::new();
    for (one, found) in wanted.iter().zip(gather_all(client, wanted).await) {
        match found {
            Err(images::Error::Registry(error)) if error.is_not_found() => {
                bail!("no such manifest: {}", full(&one.reference))
            }
            found => members.extend(found.map_err(told)?),
        }
    }
    Ok(members)
}

fn annotate(store: &Store, args: &AnnotateArgs) -> Result<()> {
    let (list, image) = (full(&args.list), full(&args.image));
    let stored = store.member(&list, &image)?;
    let mut stored =
        stored.with_context(|| format!("manifest for image {image} does not exist in {list}"))?;
    let platform = stored.descriptor.platform.get_or_insert_with(|| Platform {
        os: String::new(),
        architecture: String::new(),
        variant: None,
        os_version: None,
        os_features: Vec::new(),
    });
    for (field, value) in [(&mut platform.os, &args.os), (&mut platform.architecture, &args.arch)] {
        if !value.is_empty() {
            field.clone_from(value);
        }
    }
    for (field, value) in
        [(&mut platform.variant, &args.variant), (&mut platform.os_version, &args.os_version)]
    {
        if !value.is_empty() {
            *field = Some(value.clone());
        }
    }
    for feature in &args.os_features {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
    if !is_known(&platform.os, &platform.architecture) {
        bail!("manifest entry for image has unsupported os/arch combination: {}/{}", args.os, args.arch);
    }
    let annotations = args.annotation.iter().map(|pair| (pair.key.clone(), pair.value.clone()));
    stored.descriptor.annotations.extend(annotations);
    store.put(&list, &stored).map_err(told)
}

fn inspect(store: &Store, args: &InspectArgs) -> Result<()> {
    let pretty = |bytes: &[u8], indent: &[u8]| -> Result<String> {
        let value: serde_json::Value = serde_json::from_slice(bytes).context("malformed manifest")?;
        indented(&value, indent)
    };
    if let Some(image) = &args.image {
        let stored = store.member(&args.list, image)?;
        let stored = stored.with_context(|| format!("No such manifest: {}", full(image)))?;
        let text = match args.verbose {
            true => indented(&shown(&stored)?, b"\t")?,
            false => pretty(&stored.raw, b"\t")?,
        };
        terminal::print_result(&text);
        return Ok(());
    }
    if let Some(members) = store.members(&args.list)? {
        let text = match args.verbose {
            true => {
                let all = members.iter().map(shown).collect::<Result<Vec<_>>>()?;
                indented(&serde_json::Value::Array(all), b"\t")?
            }
            false => {
                let descriptors: Vec<_> = members.into_iter().map(|member| member.descriptor).collect();
                let media_type = ListType::Auto.media_type(&descriptors);
                images::render(&media_type, &descriptors, &BTreeMap::new())
            }
        };
        terminal::print_result(&text);
        return Ok(());
    }
    let (client, runtime) = (client(&args.registries)?, runtime()?);
    let found = match runtime.block_on(client.manifest(&full(&args.list))) {
        Ok(found) => found,
        Err(error) if error.is_not_found() => bail!("no such manifest: {}", full(&args.list)),
        Err(error) => return Err(error.into()),
    };
    let text = match (&found, args.verbose) {
        (ManifestOrIndex::Manifest(_), false) => pretty(found.bytes(), b"\t")?,
        (ManifestOrIndex::Index(_), false) => pretty(found.bytes(), b"   ")?,
        (_, true) => {
            let list = Wanted { reference: args.list.clone(), members: Members::Indexes, platform: None };
            let members = runtime.block_on(fetch(&client, &[list]))?;
            let mut all = members.iter().map(shown).collect::<Result<Vec<_>>>()?;
            match &found {
                ManifestOrIndex::Manifest(_) => indented(&all.remove(0), b"\t")?,
                ManifestOrIndex::Index(_) => indented(&serde_json::Value::Array(all), b"\t")?,
            }
        }
    };
    terminal::print_result(&text);
    Ok(())
}

/// What is stored of a member, for people.
fn shown(stored: &Stored) -> Result<serde_json::Value> {
    let manifest: serde_json::Value = serde_json::from_slice(&stored.raw).context("malformed manifest")?;
    let kind = if stored.descriptor.media_type.as_str().contains(".oci.") {
        "OCIManifest"
    } else {
        "SchemaV2Manifest"
    };
    Ok(serde_json::json!({
        "Ref": stored.reference.to_string(), "Descriptor": stored.descriptor, kind: manifest,
    }))
}

fn indented(value: &serde_json::Value, indent: &[u8]) -> Result<String> {
    use serde::Serialize as _;
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))?;
    Ok(String::from_utf8(out)?)
}

fn push_list(store: &Store, args: &PushArgs) -> Result<()> {
    let (client, runtime) = (client(&args.registries)?, runtime()?);
    let mut annotations: BTreeMap<String, String> =
        args.annotation.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
    let mut tags = args.tags.clone();
    let mut list_type = match args.list_type {
        TypeArg::Auto => ListType::Auto,
        TypeArg::Oci => ListType::Oci,
        TypeArg::Docker => ListType::Docker,
    };
    let (list, members) = match (&args.from_spec, &args.list) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            let spec = Spec::parse(&text).map_err(told).with_context(|| file.display().to_string())?;
            // The file's own kind of list, unless it is asked for another.
            if list_type == ListType::Auto {
                list_type = ListType::Docker;
            }
            tags.extend(spec.tags.clone());
            annotations.extend(spec.annotations.clone());
            let members = runtime.block_on(of_spec(&client, &spec, args.ignore_missing))?;
            (spec.image, members)
        }
        (None, Some(list)) if !args.from.is_empty() => {
            (list.clone(), runtime.block_on(fetch(&client, &args.from))?)
        }
        (None, Some(list)) => {
            let members = store.members(list)?;
            (list.clone(), members.with_context(|| format!("No such manifest: {}", full(list)))?)
        }
        (None, None) => bail!("a list is missing"),
    };
    twice(&members)?;
    let descriptors: Vec<_> = members.iter().map(|member| member.descriptor.clone()).collect();
    let is_docker = list_type.media_type(&descriptors) == oci::MediaType::DockerIndex;
    let annotated = !annotations.is_empty() || descriptors.iter().any(|one| !one.annotations.is_empty());
    if is_docker && annotated && !annotations.is_empty() {
        bail!("manifest list (Docker media type) does not support annotations; use --type oci instead");
    }
    let names: Vec<Reference> =
        [full(&list)].into_iter().chain(tags.iter().map(|tag| list.with_tag(tag))).collect();
    let pushed = runtime.block_on(push(&client, &names, &members, list_type, &annotations, |reference| {
        if let Some(digest) = reference.digest() {
            terminal::print_result(&format!("Pushed ref {reference} with digest: {digest}"));
        }
    }));
    let digest = pushed.map_err(told)?;
    if args.purge {
        store.remove(&list).map_err(told)?;
    }
    terminal::print_result(&digest.to_string());
    Ok(())
}

/// The members of a specification, with what it says of them.
async fn of_spec(client: &Client, spec: &Spec, ignore_missing: bool) -> Result<Vec<Stored>> {
    let (mut members, mut attestations) = (Vec::new(), Vec::new());
    let wanted: Vec<Wanted> = spec
        .members
        .iter()
        .map(|(image, _)| Wanted { reference: image.clone(), members: Members::Indexes, platform: None })
        .collect();
    for ((image, said), found) in spec.members.iter().zip(gather_all(client, &wanted).await) {
        let found = match found {
            Err(images::Error::Registry(error)) if error.is_not_found() => {
                if ignore_missing {
                    continue;
                }
                bail!("inspect of image \"{image}\" failed with error: {image}: not found");
            }
            other => other.map_err(told)?,
        };
        let single = found.len() == 1;
        for mut stored in found {
            if let Some(platform) = stored.descriptor.platform.as_mut().filter(|_| single) {
                *platform = said.over(platform);
            }
            match stored.descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown") {
                true => attestations.push(stored),
                false => members.push(stored),
            }
        }
    }
    members.extend(attestations);
    Ok(members)
}

/// Two members for one platform are a mistake, since only the first would ever be found.
fn twice(members: &[Stored]) -> Result<()> {
    for (index, member) in members.iter().enumerate() {
        let Some(platform) = member.descriptor.platform.as_ref().filter(|one| one.os != "unknown") else {
            continue;
        };
        let other =
            members[..index].iter().find(|other| other.descriptor.platform.as_ref() == Some(platform));
        if let Some(other) = other {
            bail!("{} and {} are both for {platform}", other.reference, member.reference);
        }
    }
    Ok(())
}

fn remove(store: &Store, lists: &[Reference]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for list in lists {
        match store.remove(list) {
            Ok(true) => {}
            Ok(false) => {
                terminal::print_error(&format!("No such manifest: {}", full(list)));
                code = ExitCode::FAILURE;
            }
            Err(error) => {
                terminal::print_error(&error.to_string());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
