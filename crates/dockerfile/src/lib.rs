//! The text a user writes, as values: instructions with spans, word expansion, stage graph, ignore patterns. No I/O.
#![forbid(unsafe_code)]
