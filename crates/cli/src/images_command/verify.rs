//! `bako verify`, and what `--sign-key` of a build does: signatures as cosign makes and checks them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use attest::key::{SigningKey, VerifyingKey};
use clap::Args;
use oci::Reference;
use serde_json::json;

use super::{client, finish, runtime, told};
use crate::environment;
use crate::registry_args::RegistryArgs;
use crate::terminal::{print_line, print_result};
use crate::values::path;

/// What `verify` is told.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The image, by tag or by digest.
    image: Reference,
    /// The public key, ECDSA on P-256 in PEM, as cosign.pub.
    #[arg(long, value_name = "FILE", value_parser = path())]
    key: PathBuf,
    /// Print the texts that were signed, as a JSON array, as cosign does.
    #[arg(long)]
    payloads: bool,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// The variable with the password of a private key that cosign has encrypted.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// Reads a private key.
pub(crate) fn signing_key(file: &Path) -> Result<SigningKey> {
    let during = || format!("--sign-key {}", file.display());
    let text = std::fs::read_to_string(file).with_context(during)?;
    let password = environment::bytes(PASSWORD);
    SigningKey::from_pem(&text, password.as_deref()).with_context(during)
}

/// Checks an image; prints it by its digest.
pub(crate) fn run(args: VerifyArgs) -> ExitCode {
    finish(|| {
        let during = || format!("--key {}", args.key.display());
        let text = std::fs::read_to_string(&args.key).with_context(during)?;
        let key = VerifyingKey::from_pem(&text).with_context(during)?;
        let client = client(&args.registries)?;
        let found = runtime()?.block_on(images::verify_image(&client, &args.image, &key));
        let found = found.map_err(told).context("verify")?;
        if args.payloads {
            print_result(&json!(found.payloads).to_string());
        } else {
            print_result(&args.image.at(found.digest).to_string());
        }
        let count = found.payloads.len();
        let noun = if count == 1 { "signature" } else { "signatures" };
        print_line(&format!("{}: {count} {noun} by this key", args.image));
        Ok(())
    })
}
