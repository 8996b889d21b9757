//! The links on the way to what the engine asks for: each is sent, and so is what it points at (fsutil `FollowLinks`).

use std::collections::BTreeSet;

use ferry_build::ignore::Ignore;

use super::folder::Folder;

/// The paths of `asked` with all links on the way, as include patterns; empty when one of them is the whole folder.
pub(super) fn links(folder: &Folder, asked: &[String]) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Vec<String>> = asked.iter().map(|path| parts(path)).collect();
    while let Some(path) = open.pop() {
        // Links in a circle lengthen the path for ever; what is longer than a path can be leads nowhere.
        if path.len() > DEEPEST || !seen.insert(path.clone()) {
            continue;
        }
        match first_link(folder, &path) {
            None => {
                found.insert(path.join("/"));
            }
            Some((link, targets)) => {
                found.insert(link);
                open.extend(targets);
            }
        }
    }
    if found.contains("") {
        return Vec::new();
    }
    without_children(found)
}

/// Names in a path; the kernel follows no more than forty links either.
const DEEPEST: usize = 256;

/// The first link on the way of `path`, and where it leads with what is left of the path.
fn first_link(folder: &Folder, path: &[String]) -> Option<(String, Vec<Vec<String>>)> {
    (1..=path.len()).find_map(|end| {
        let (here, rest) = path.split_at(end);
        let mut targets = targets(folder, here);
        if targets.is_empty() {
            return None;
        }
        for target in &mut targets {
            target.extend(rest.iter().cloned());
        }
        Some((here.join("/"), targets))
    })
}

/// Where the link at `path` points, or all links that its last name matches.
fn targets(folder: &Folder, path: &[String]) -> Vec<Vec<String>> {
    let Some((name, above)) = path.split_last() else {
        return Vec::new();
    };
    let names = if name.contains(['*', '?', '[']) {
        let Ok(pattern) = Ignore::from_patterns([name.as_str()]) else {
            return Vec::new();
        };
        let mut names = folder.names(&above.join("/")).unwrap_or_default();
        names.retain(|name| pattern.excludes(name));
        names
    } else {
        vec![name.clone()]
    };
    names
        .iter()
        .filter_map(|name| {
            let mut link = above.to_vec();
            link.push(name.clone());
            let points_at = folder.link(&link.join("/"))?;
            // An absolute link is meant below the context, as it will be in the image.
            let base = if points_at.starts_with('/') {
                ""
            } else {
                &above.join("/")
            };
            Some(parts(&format!("{base}/{points_at}")))
        })
        .collect()
}

/// The names of a path below the context; `..` cannot leave it.
fn parts(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name.to_owned()),
        }
    }
    parts
}

/// A folder stands for all below it.
fn without_children(found: BTreeSet<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for path in found {
        if !kept.iter().any(|above| {
            path.strip_prefix(above.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        }) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_what_they_point_at_are_asked_for() {
        let temporary = tempfile::tempdir().expect("a folder");
        let root = temporary.path();
        std::fs::create_dir_all(root.join("real/deep")).expect("folders");
        std::fs::write(root.join("real/deep/file"), "x").expect("a file");
        symlink("real", root.join("link")).expect("a link");
        symlink("/real/deep/file", root.join("absolute")).expect("a link");
        symlink("../../../real", root.join("out")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        symlink("b/x", root.join("a")).expect("a link");
        symlink("a/x", root.join("b")).expect("a link");
        let folder = Folder::open(root).expect("a folder");
        let check = |asked: &[&str], expect: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(links(&folder, &asked), expect, "{asked:?}");
        };
        check(&["gone"], &["gone"]);
        check(&["real/deep/file"], &["real/deep/file"]);
        check(&["link/deep/file"], &["link", "real/deep/file"]);
        check(&["absolute"], &["absolute", "real/deep/file"]);
        check(&["out"], &["out", "real"]);
        check(&["loop"], &["loop"]);
        check(&["a"], &["a", "b"]);
        check(&["li*"], &["li*", "real"]);
        check(&["real", "real/deep"], &["real"]);
        check(&["."], &[]);
        check(&["real", "/"], &[]);
    }
}
