//! Signatures, beside the image in every repository that it was pushed to.

use images::SignedAt;
use oci::Descriptor;
use tokio::runtime::Handle;

use super::repositories;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::options::Options;
use crate::waiting::cancelled;

/// Signs an image or an index that is in every repository among the destinations, if that is wanted.
pub(crate) fn write_signatures(options: &Options, runtime: &Handle, image: &Descriptor) -> Result<()> {
    let outputs = &options.outputs;
    let Some(key) = outputs.sign_key.as_deref().filter(|_| !outputs.no_push) else { return Ok(()) };
    repositories(&outputs.destinations).into_iter().try_for_each(|destination| {
        let signing = images::sign(&options.client, destination, image, key);
        let signed = runtime.block_on(async {
            tokio::select! {
                signed = signing => signed.during(format!("sign {destination}")),
                signal = cancelled(&options.cancel) => Err(Error::ended_by(signal)),
            }
        })?;
        let reference = destination.at(image.digest);
        options.report.event(Event::Signed { reference, before: signed == SignedAt::Before });
        Ok(())
    })
}
