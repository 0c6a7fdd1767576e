//! Inspecting: which images the resources refer to, and what an earlier run said of them.

use crate::output::Printer;
use crate::rules::search;
use crate::{Error, Inputs, Resource, annotation, input};

/// An image of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The reference.
    pub image: String,
    /// The resource's names.
    pub resource: String,
    /// Its origins as the annotation has them, or nothing.
    pub metadata: String,
}

/// The images of all resources, sorted; each once for a resource.
pub fn rows(inputs: &mut Inputs) -> Result<Vec<Row>, Error> {
    let rules = inputs.config().rules();
    let mut rows = Vec::new();
    inputs.each(|_, _, root| {
        for resource in root.iter().flat_map(input::resources) {
            search(resource, &rules, Printer::InPlace, &mut |text, _| {
                rows.push(Row {
                    image: text.to_owned(),
                    resource: Resource::of(resource).to_string(),
                    metadata: annotation::origins_of(resource, text).unwrap_or_default(),
                });
                None
            });
        }
        Ok(())
    })?;
    rows.sort();
    rows.dedup();
    Ok(rows)
}
