//! The known word that a mistyped one is nearest to.

/// The candidate within two edits of `word` (one, for words of up to four letters), if there is one.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(40).collect();
    let limit = if word.len() <= 4 { 1 } else { 2 };
    candidates
        .iter()
        .map(|candidate| (edits(&word, &candidate.chars().collect::<Vec<_>>()), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words, case aside.
fn edits(a: &[char], b: &[char]) -> usize {
    let same = |x: char, y: char| x.eq_ignore_ascii_case(&y);
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substitution = usize::from(!same(a[i - 1], b[j - 1]));
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + substitution);
            if i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_words() {
        let known = ["FROM", "RUN", "COPY", "ENTRYPOINT"];
        assert_eq!(nearest("FORM", &known), Some("FROM"));
        assert_eq!(nearest("rnu", &known), Some("RUN"));
        assert_eq!(nearest("ENTRIPOINT", &known), Some("ENTRYPOINT"));
        assert_eq!(nearest("DELETE", &known), None);
    }
}
