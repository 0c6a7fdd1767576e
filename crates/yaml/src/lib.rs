//! YAML and JSON as Kubernetes' tools write and read them: text as a tree that knows where each of its parts stands.
//!
//! A [`Node`] is read once. From then on there are two ways to a changed document: an [`Editor`] that changes a few
//! places of the text and leaves every other byte as it was, and [`print()`], which writes the tree anew in the form of
//! Go's YAML library, byte for byte. Scalars mean what YAML 1.1 says, as that library reads them
//! ([types](https://yaml.org/type/)); the syntax is read by `granit-parser`.
//!
//! Nothing here opens a file, and nothing in a text makes it use much more memory than the text is long: aliases are
//! expanded within a budget, and the depth is limited.
#![forbid(unsafe_code)]

mod documents;
mod edit;
mod error;
mod json;
mod node;
mod number;
mod parse;
mod print;
mod quote;
mod scalar;
mod sort;

pub use documents::{Documents, Part};
pub use edit::Editor;
pub use error::Error;
pub use json::{json_documents, print_json};
pub use node::{Entry, Key, Node, Span, Style, Value, Via};
pub use number::Number;
pub use parse::parse;
pub use print::print;
