//! A tree on disk: safe paths inside a root, materialise, scan for changes.
#![forbid(unsafe_code)]
