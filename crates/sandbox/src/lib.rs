//! Run one process inside a root: the isolations, and the probe that chooses among them.
#![forbid(unsafe_code)]
