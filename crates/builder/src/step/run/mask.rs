//! Masks: secrets that a RUN prints are not shown.
//!
//! Output is held back until its line is whole, since a secret may arrive in pieces. A secret of several lines is
//! looked for line by line, as that is how it is shown.

use sandbox::{Secret, Stream};

/// What is shown in the place of a secret.
const MASK: &[u8] = b"***";

/// How much of a line is held back before some of it is shown.
const LONGEST: usize = 64 * 1024;

/// Lines of a secret with several that are shorter tell nothing: a brace, `EOF`.
const SHORTEST_LINE: usize = 4;

/// What must not be shown.
#[derive(Default)]
pub(crate) struct Masks(Vec<Vec<u8>>);

impl Masks {
    /// Adds a secret.
    pub(super) fn add(&mut self, secret: &Secret) {
        let whole = secret.expose().trim_ascii();
        let lines: Vec<&[u8]> = whole.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).collect();
        let shortest = if lines.len() > 1 { SHORTEST_LINE } else { 1 };
        for line in lines.into_iter().filter(|line| line.len() >= shortest) {
            if !self.0.iter().any(|known| known == line) {
                self.0.push(line.to_vec());
            }
        }
        // Of two that begin at one place, the longer one is meant.
        self.0.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    }

    /// The mask that `bytes` begin with.
    fn at_start(&self, bytes: &[u8]) -> Option<usize> {
        self.0.iter().find(|mask| bytes.starts_with(mask)).map(Vec::len)
    }
}

/// The output of one process on its way to whoever shows it.
pub(super) struct MaskedOutput<'a> {
    masks: &'a Masks,
    show: &'a mut dyn FnMut(Stream, Vec<u8>),
    held: [(Stream, Vec<u8>); 2],
}

impl<'a> MaskedOutput<'a> {
    pub(super) fn new(masks: &'a Masks, show: &'a mut dyn FnMut(Stream, Vec<u8>)) -> Self {
        let held = [Stream::Stdout, Stream::Stderr].map(|stream| (stream, Vec::new()));
        MaskedOutput { masks, show, held }
    }

    /// Takes some output in, and shows as much as can be told to hold no secret.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if self.masks.0.is_empty() {
            return (self.show)(stream, bytes.to_vec());
        }
        let held = self.held.iter_mut().find(|(of, _)| *of == stream);
        let (_, held) = held.expect("there are two streams");
        held.extend_from_slice(bytes);
        let whole_lines = held.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let longest = self.masks.0.first().map_or(0, Vec::len);
        let end = match whole_lines {
            0 if held.len() > LONGEST + longest => held.len() - longest,
            end => end,
        };
        let shown = take(held, end, self.masks);
        if !shown.is_empty() {
            (self.show)(stream, shown);
        }
    }

    /// Shows what is left.
    pub(super) fn finish(mut self) {
        for (stream, held) in &mut self.held {
            let end = held.len();
            let shown = take(held, end, self.masks);
            if !shown.is_empty() {
                (self.show)(*stream, shown);
            }
        }
    }
}

/// Takes `end` bytes from the start, masked; and more, where a secret goes on beyond them.
fn take(held: &mut Vec<u8>, end: usize, masks: &Masks) -> Vec<u8> {
    let mut shown = Vec::with_capacity(end);
    let mut at = 0;
    while at < end {
        match masks.at_start(&held[at..]) {
            Some(length) => {
                shown.extend_from_slice(MASK);
                at += length;
            }
            None => {
                shown.push(held[at]);
                at += 1;
            }
        }
    }
    held.drain(..at);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secrets: &[&str], written: &[&str], expected: &str) {
        let mut masks = Masks::default();
        secrets.iter().for_each(|secret| masks.add(&Secret::new(*secret)));
        let mut shown = Vec::new();
        let mut show = |_, bytes: Vec<u8>| shown.extend(bytes);
        let mut output = MaskedOutput::new(&masks, &mut show);
        written.iter().for_each(|text| output.write(Stream::Stdout, text.as_bytes()));
        output.finish();
        assert_eq!(String::from_utf8_lossy(&shown), expected, "{secrets:?} in {written:?}");
    }

    #[test]
    fn secrets_are_not_shown() {
        check(&[], &["a", "b"], "ab");
        check(&["s3cret"], &["it is s3cret!\n"], "it is ***!\n");
        check(&["s3cret\n"], &["s3c", "ret", " end"], "*** end");
        check(&["s3cret"], &["s3cre", "\nt"], "s3cre\nt");
        check(&["abc", "abcdef"], &["abcdef abc abcd\n"], "*** *** ***d\n");
        check(&["one-line\ntwo-line\n}\n"], &["one-line\n}\ntwo-line"], "***\n}\n***");
        check(&["", " \n"], &["a b\n"], "a b\n");
        check(&["\r\nwindows\r\n"], &["windows\n"], "***\n");
    }

    #[test]
    fn long_lines_are_not_kept_for_ever() {
        let text = "x".repeat(LONGEST + 10);
        let mut masks = Masks::default();
        masks.add(&Secret::new("xyz"));
        let mut shown = 0;
        let mut show = |_, bytes: Vec<u8>| shown += bytes.len();
        let mut output = MaskedOutput::new(&masks, &mut show);
        output.write(Stream::Stdout, text.as_bytes());
        drop(output);
        assert_eq!(shown, text.len() - 3);
        check(&["xyz"], &[&text, "yz."], &format!("{}***.", "x".repeat(LONGEST + 9)));
    }
}
