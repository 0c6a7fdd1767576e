//! The metadata file: what was made, as JSON with the keys that `docker buildx build --metadata-file` writes.

use std::io::Write;

use serde_json::{Value, json};

use oci::{Descriptor, Digest};

use super::replace::replace;
use super::{Finished, Outputs};
use crate::error::Result;

/// Writes the file for an index, if there is to be one; of the only image that it lists, the config.
pub(crate) fn write_index_metadata(
    outputs: &Outputs,
    index: &Descriptor,
    config: Option<Digest>,
) -> Result<()> {
    let metadata =
        config.map_or_else(|| json!({}), |digest| json!({ "containerimage.config.digest": digest }));
    write(outputs, index, metadata)
}

/// Writes the file, if there is to be one.
pub(crate) fn write_metadata_file(outputs: &Outputs, image: &Finished) -> Result<()> {
    write(
        outputs,
        &image.listed(&outputs.annotations),
        json!({ "containerimage.config.digest": image.config.digest() }),
    )
}

fn write(outputs: &Outputs, descriptor: &Descriptor, mut metadata: Value) -> Result<()> {
    let Some(path) = &outputs.metadata_file else { return Ok(()) };
    let names: Vec<String> = outputs.destinations.iter().map(ToString::to_string).collect();
    metadata["containerimage.descriptor"] = json!(descriptor);
    metadata["containerimage.digest"] = json!(descriptor.digest);
    metadata["image.name"] = json!(names.join(","));
    replace(path, |mut file| Ok(writeln!(file, "{metadata:#}")?))
        .map_err(|error| error.during(path.display()))
}
