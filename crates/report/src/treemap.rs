//! Treemaps: areas in proportion to numbers, as near to squares as they get (Bruls, Huizing, van Wijk, 2000).

/// A rectangle, in percent of what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// An area for each number, in the same order. `aspect` is the width of the whole by its height. Nothing has no area.
pub(crate) fn squarify(values: &[u64], aspect: f64) -> Vec<Area> {
    let mut areas = vec![Area::default(); values.len()];
    let total: f64 = values.iter().map(|value| *value as f64).sum();
    let mut order: Vec<usize> = (0..values.len()).filter(|index| values[*index] > 0).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(values[*index]), *index));
    let (width, height) = (100.0 * aspect, 100.0);
    let scale = width * height / total.max(1.0);
    let size = |index: usize| values[index] as f64 * scale;
    let mut free = Area { left: 0.0, top: 0.0, width, height };
    let mut rest = &order[..];
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        // As many in a row as make it better.
        let mut count = 1;
        while count < rest.len() && worst(rest, count + 1, side, &size) <= worst(rest, count, side, &size) {
            count += 1;
        }
        let (row, after) = rest.split_at(count);
        let sum: f64 = row.iter().map(|index| size(*index)).sum();
        let thickness = if side > 0.0 { sum / side } else { 0.0 };
        let mut at = 0.0;
        for index in row {
            let length = if thickness > 0.0 { size(*index) / thickness } else { 0.0 };
            areas[*index] = match free.width >= free.height {
                true => Area { left: free.left, top: free.top + at, width: thickness, height: length },
                false => Area { left: free.left + at, top: free.top, width: length, height: thickness },
            };
            at += length;
        }
        if free.width >= free.height {
            free.left += thickness;
            free.width = (free.width - thickness).max(0.0);
        } else {
            free.top += thickness;
            free.height = (free.height - thickness).max(0.0);
        }
        rest = after;
    }
    for area in &mut areas {
        area.left /= aspect;
        area.width /= aspect;
    }
    areas
}

/// The longest side by the shortest, of the first `count` in a row along `side`.
fn worst(order: &[usize], count: usize, side: f64, size: &impl Fn(usize) -> f64) -> f64 {
    let row = &order[..count];
    let sum: f64 = row.iter().map(|index| size(*index)).sum();
    let thickness = sum / side;
    row.iter().fold(0.0, |worst, index| {
        let length = size(*index) / thickness;
        worst.max(length / thickness).max(thickness / length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_in_proportion_and_do_not_overlap() {
        for values in [&[1][..], &[6, 6, 4, 3, 2, 2, 1], &[1000, 1], &[1; 30], &[0, 5, 0, 5], &[1, 1 << 40]] {
            for aspect in [1.0, 2.5, 0.4] {
                let areas = squarify(values, aspect);
                let total: u64 = values.iter().sum();
                for (value, area) in values.iter().zip(&areas) {
                    let expected = *value as f64 / total as f64 * 10_000.0;
                    let found = area.width * area.height;
                    assert!((found - expected).abs() < 0.01, "{values:?}: {found} and not {expected}");
                    assert!(area.left >= -0.001 && area.left + area.width <= 100.001, "{values:?} {area:?}");
                    assert!(area.top >= -0.001 && area.top + area.height <= 100.001, "{values:?} {area:?}");
                }
                for (number, one) in areas.iter().enumerate() {
                    for other in &areas[number + 1..] {
                        let wide = one.left.max(other.left) + 0.001
                            < (one.left + one.width).min(other.left + other.width);
                        let high = one.top.max(other.top) + 0.001
                            < (one.top + one.height).min(other.top + other.height);
                        assert!(!(wide && high), "{values:?}: {one:?} and {other:?}");
                    }
                }
            }
        }
        assert!(squarify(&[], 1.0).is_empty());
        assert_eq!(squarify(&[0], 1.0), [Area::default()]);
    }
}
