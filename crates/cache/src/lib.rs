//! What is kept by digest between builds: blobs and layer indexes.
#![forbid(unsafe_code)]
