//! The word that was probably meant by a mistyped one.

/// The candidate that differs least from `word`, if it differs little.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // One slip in a short word, more in a long one.
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Slips between two words: letters left out, added, wrong, or swapped with their neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut least = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            let is_swap = i > 0 && j > 0 && left[i - 1] == *b && right[j - 1] == *a;
            if is_swap && a != b {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (left, right, slips) in [
            ("run", "run", 0),
            ("rnu", "run", 1),
            ("imgaes", "images", 1),
            ("ps", "push", 2),
            ("", "abc", 3),
            ("inspct", "inspect", 1),
        ] {
            assert_eq!(distance(left, right), slips, "{left} {right}");
        }
    }

    #[test]
    fn the_nearest_is_near() {
        let commands = ["run", "rm", "images", "inspect"];
        assert_eq!(nearest("rnu", commands), Some("run"));
        assert_eq!(nearest("inspekt", commands), Some("inspect"));
        assert_eq!(nearest("frobnicate", commands), None);
    }
}
