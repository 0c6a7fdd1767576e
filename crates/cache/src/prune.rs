//! Pruning: what of a cache goes, by its age and by how much there is in all.

use std::collections::BTreeSet;

/// What may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prunable {
    /// When it was last of use, in seconds since 1970, if that is known. What has no time is as old as can be for a
    /// size, and is left alone by an age.
    pub used: Option<i64>,
    /// What it is made of: names, by which parts that several share are told, and sizes in bytes.
    pub parts: Vec<(String, u64)>,
}

/// What is to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// What was of use at this time or later, in seconds since 1970; `None` for all.
    pub since: Option<i64>,
    /// So many bytes of what was of use last; `None` for all.
    pub size: Option<u64>,
}

/// Which of them go, by their places in the list; and how many bytes no other needs then.
#[must_use]
pub fn prune(items: &[Prunable], keep: Keep) -> (Vec<usize>, u64) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(items[place].used));
    let mut staying: BTreeSet<&str> = BTreeSet::new();
    let (mut total, mut is_full) = (0_u64, false);
    let mut going = Vec::new();
    for place in order {
        let item = &items[place];
        let is_old = keep.since.zip(item.used).is_some_and(|(since, used)| used < since);
        let own = item.parts.iter().filter(|(name, _)| !staying.contains(name.as_str()));
        let own: u64 = own.map(|(_, size)| size).sum();
        // What is older than the first that is too much goes too: who is last goes first.
        is_full |= !is_old && keep.size.is_some_and(|size| total.saturating_add(own) > size);
        if is_old || is_full {
            going.push(place);
        } else {
            total = total.saturating_add(own);
            staying.extend(item.parts.iter().map(|(name, _)| name.as_str()));
        }
    }
    going.sort_unstable();
    let mut freed: BTreeSet<(&str, u64)> = BTreeSet::new();
    for (name, size) in going.iter().flat_map(|&place| &items[place].parts) {
        if !staying.contains(name.as_str()) {
            freed.insert((name, *size));
        }
    }
    (going, freed.into_iter().map(|(_, size)| size).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items are `TIME:PART=SIZE+PART=SIZE`.
    fn check(items: &str, since: Option<i64>, size: Option<u64>, expected: (&[usize], u64)) {
        let items: Vec<Prunable> = items
            .split(' ')
            .map(|item| {
                let (used, parts) = item.split_once(':').unwrap();
                let parts = parts.split('+').map(|part| {
                    let (name, size) = part.split_once('=').unwrap();
                    (name.to_owned(), size.parse().unwrap())
                });
                Prunable { used: used.parse().ok(), parts: parts.collect() }
            })
            .collect();
        let (going, freed) = prune(&items, Keep { since, size });
        assert_eq!((&going[..], freed), expected, "{items:?} {since:?} {size:?}");
    }

    #[test]
    fn what_goes() {
        let items = "10:a=5 20:b=5 30:c=5";
        check(items, None, None, (&[], 0));
        check(items, Some(20), None, (&[0], 5));
        check(items, Some(99), None, (&[0, 1, 2], 15));
        check(items, None, Some(15), (&[], 0));
        check(items, None, Some(14), (&[0], 5));
        check(items, None, Some(0), (&[0, 1, 2], 15));
        check(items, Some(20), Some(5), (&[0, 1], 10));
        // What others share stays for them.
        check("10:a=5 20:a=5+b=5", Some(20), None, (&[0], 0));
        check("10:a=5 20:a=5+b=5", None, Some(10), (&[], 0));
        check("10:a=5 20:a=5+b=5", None, Some(9), (&[0, 1], 10));
        // A small one that is older than one that is too large goes too.
        check("10:a=1 20:b=50 30:c=5", None, Some(10), (&[0, 1], 51));
        check("?:a=5 20:b=5", Some(99), None, (&[1], 5));
        check("?:a=5 20:b=5", None, Some(5), (&[0], 5));
    }
}
