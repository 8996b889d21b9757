//! Patterns of image names, as the filter `reference` takes them.

use ferry_oci::Reference;

/// Whether `name` matches `pattern`: a name, a name with a tag, or either with `*`, `?` and `[a-z]`, which
/// never stand for a slash. Source: Go's `path.Match`, which Docker uses (distribution/reference `FamiliarMatch`).
pub(super) fn matches(pattern: &str, name: &Reference) -> bool {
    let short = name.familiar_name();
    let tagged = super::names::tagged(name);
    let full = name.name();
    [short.as_str(), &tagged, &full]
        .into_iter()
        .any(|text| glob(pattern.as_bytes(), text.as_bytes()))
}

/// Matches in time proportional to the product of both lengths: after a mismatch only the last `*` takes more.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if t == text.len() && pattern[p..].iter().all(|byte| *byte == b'*') {
            return true;
        }
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
            continue;
        }
        if let Some(next) = text.get(t).and_then(|byte| one(pattern, p, *byte)) {
            p = next;
            t += 1;
            continue;
        }
        match retry {
            Some((star, from)) if text.get(from).is_some_and(|byte| *byte != b'/') => {
                retry = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// Where the pattern goes on when its element at `p` matches `byte`.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => (byte != b'/').then_some(p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' => (*pattern.get(p + 1)? == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// A class of characters whose first element is at `p`.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let is_negated = pattern.get(p) == Some(&b'^');
    if is_negated {
        p += 1;
    }
    let mut is_in = false;
    let first = p;
    loop {
        let low = *pattern.get(p)?;
        if low == b']' && p > first {
            break;
        }
        let (high, next) = match (pattern.get(p + 1), pattern.get(p + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => (*high, p + 3),
            _ => (low, p + 1),
        };
        is_in |= (low..=high).contains(&byte);
        p = next;
    }
    (is_in != is_negated && byte != b'/').then_some(p + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tags_and_patterns() {
        for (pattern, name, expect) in [
            ("busybox", "busybox:1", true),
            ("busybox:1", "busybox:1", true),
            ("busybox:2", "busybox:1", false),
            ("busy*", "busybox:1", true),
            ("busybox:*", "busybox:1", true),
            ("b?sy[a-c]ox", "busybox", true),
            ("b?sy[^a-c]ox", "busybox", false),
            ("*", "me/busybox", false),
            ("*/busybox", "me/busybox", true),
            ("docker.io/library/busybox", "busybox", true),
            ("localhost:5000/*", "localhost:5000/a:1", true),
            ("[", "a", false),
            ("[a", "a", false),
            ("\\", "a", false),
            ("a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            let reference = Reference::parse(name).expect("a test's name");
            assert_eq!(matches(pattern, &reference), expect, "{pattern} {name}");
        }
    }
}
