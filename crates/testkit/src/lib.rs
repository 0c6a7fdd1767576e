//! For tests only: a registry with faults to order, tree and layer builders, a tree as text.
#![forbid(unsafe_code)]
