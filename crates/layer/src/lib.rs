//! Layers as bytes and as values: tar entries, compression, tree index, and the tree they add up to.
#![forbid(unsafe_code)]
