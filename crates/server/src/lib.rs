//! The distribution protocol as a server: a small registry that keeps its files as OCI layouts.
#![forbid(unsafe_code)]
