//! Sparse files: where in a file the bytes that a tar holds belong.

/// A run of bytes that are in the tar. What is between runs is zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where in the file.
    pub(crate) offset: u64,
    /// How many bytes.
    pub(crate) length: u64,
}

/// The extents of one file. More than this many are refused, since they are kept in memory.
pub(crate) const MAX_EXTENTS: usize = 1 << 17;

/// The longest sparse file. One block of a tar can claim any length, and each byte of it would be hashed and
/// perhaps written; runtimes that write holes out could never take even this one.
const MAX_SIZE: u64 = 1 << 40;

/// Checks that extents follow each other inside a file of `size` bytes and hold `stored` bytes in all.
pub(crate) fn check(extents: &[Extent], size: u64, stored: u64) -> Result<(), String> {
    let (mut end, mut held) = (0u64, 0u64);
    for extent in extents {
        if extent.offset < end {
            return Err("sparse map goes backwards".to_owned());
        }
        end = extent.offset.checked_add(extent.length).ok_or("sparse map overflows")?;
        held += extent.length;
    }
    if end > size {
        return Err("sparse map goes beyond the end of the file".to_owned());
    }
    if size > MAX_SIZE && held < size {
        return Err(format!("sparse file of {size} bytes, more than 1 TiB"));
    }
    if held != stored {
        return Err(format!("sparse map holds {held} bytes, but {stored} are stored"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        let extent = |(offset, length)| Extent { offset, length };
        for (pairs, size, stored, fault) in [
            (&[(0, 5), (10, 5)][..], 20, 10, None),
            (&[(5, 0), (5, 5)], 10, 5, None),
            (&[], 10, 0, None),
            (&[(0, 5), (4, 5)], 20, 10, Some("backwards")),
            (&[(0, 5), (16, 5)], 20, 10, Some("beyond")),
            (&[(u64::MAX, 5)], u64::MAX, 5, Some("overflows")),
            (&[(0, 5)], 20, 6, Some("stored")),
            (&[(0, 5)], 1 << 40, 5, None),
            (&[(0, 5)], (1 << 40) + 1, 5, Some("1 TiB")),
            (&[(0, 1 << 41)], 1 << 41, 1 << 41, None),
        ] {
            let extents: Vec<Extent> = pairs.iter().copied().map(extent).collect();
            match (check(&extents, size, stored), fault) {
                (Ok(()), None) => {}
                (Err(error), Some(fault)) => assert!(error.contains(fault), "{error}"),
                (got, _) => panic!("{pairs:?}: {got:?}"),
            }
        }
    }
}
