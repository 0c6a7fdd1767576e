//! The metadata file: what was made, as JSON with the keys that `docker buildx build --metadata-file` writes.

use std::io::Write;

use serde_json::json;

use super::replace::replace;
use super::{Finished, Outputs};
use crate::error::Result;

/// Writes the file, if there is to be one.
pub(crate) fn write_metadata_file(outputs: &Outputs, image: &Finished) -> Result<()> {
    let Some(path) = &outputs.metadata_file else { return Ok(()) };
    let names: Vec<String> = outputs.destinations.iter().map(ToString::to_string).collect();
    let metadata = json!({
        "containerimage.config.digest": image.config.digest(),
        "containerimage.descriptor": image.descriptor(),
        "containerimage.digest": image.manifest.digest(),
        "image.name": names.join(","),
    });
    replace(path, |mut file| Ok(writeln!(file, "{metadata:#}")?))
        .map_err(|error| error.during(path.display()))
}
