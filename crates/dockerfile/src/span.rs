//! Where something stands in the source: what lets an error point at it.

/// A range of the source, in bytes and in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
    /// The line of the first byte, counted from 1.
    pub first_line: usize,
    /// The line of the last byte.
    pub last_line: usize,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl Span {
    /// From the start of one to the end of the other.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        Span { end: last.end, last_line: last.last_line, ..self }
    }

    /// The bytes, as an index into the source.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}
