//! Locations: places in a Dockerfile as BuildKit's JSON has them, line by line.

use serde::Serialize;

use crate::Span;

/// The lines of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// One for each line.
    pub ranges: Vec<Range>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The line.
    pub start: Position,
    /// The same.
    pub end: Position,
}

/// A line, counted from 1. BuildKit says nothing of columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
}

impl From<Span> for Location {
    fn from(span: Span) -> Self {
        let line = |line| Range { start: Position { line }, end: Position { line } };
        Location { ranges: (span.first_line..=span.last_line).map(line).collect() }
    }
}
