//! A repository at a reference as a directory, without the git program.
#![forbid(unsafe_code)]
