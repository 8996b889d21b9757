//! Paths as Go's `path/filepath` handles them, whose ends say what is copied: `d`, `d/` or `d/.`.

/// The shortest path that names the same, without looking at any file.
pub(super) fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if is_absolute => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

/// The last name; `/` for the root and `.` for nothing.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (trimmed, path) {
        ("", "") => ".",
        ("", _) => "/",
        (trimmed, _) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// All but the last name, cleaned.
pub(super) fn folder(path: &str) -> String {
    match path.rfind('/') {
        Some(slash) => clean(&path[..=slash]),
        None => ".".to_owned(),
    }
}

/// `folder` and `path` as one, cleaned.
pub(super) fn join(folder: &str, path: &str) -> String {
    clean(&format!("{folder}/{path}"))
}

pub(super) fn ends_in_slash(path: &str) -> bool {
    path.ends_with('/')
}

fn ends_in_dot(path: &str) -> bool {
    base(path) == "."
}

/// Whether a path can only be meant for a directory.
pub(super) fn asserts_directory(path: &str) -> bool {
    ends_in_slash(path) || ends_in_dot(path)
}

/// `cleaned` with the end that `original` had.
pub(super) fn preserve_end(cleaned: &str, original: &str) -> String {
    let mut path = cleaned.to_owned();
    if !ends_in_dot(&path) && ends_in_dot(original) {
        if !ends_in_slash(&path) {
            path.push('/');
        }
        path.push('.');
    }
    if !ends_in_slash(&path) && ends_in_slash(original) {
        path.push('/');
    }
    path
}

/// A path's folder and the entry of it that is meant: `.` where the path ends so.
pub(super) fn split_entry(path: &str) -> (String, String) {
    let mut cleaned = clean(path);
    if ends_in_dot(path) {
        cleaned.push_str("/.");
    }
    (folder(&cleaned), base(&cleaned).to_owned())
}

/// What a link at `path` leads to, with the end of `path`; and the name that it is to be copied under where that is
/// another.
pub(super) fn renamed(path: &str, resolved: &str) -> (String, Option<String>) {
    let mut resolved = resolved.to_owned();
    if ends_in_dot(path) && !ends_in_dot(&resolved) {
        resolved.push_str("/.");
    }
    if ends_in_slash(path) && !ends_in_slash(&resolved) {
        resolved.push('/');
    }
    let name = (base(path) != base(&resolved)).then(|| base(path).to_owned());
    (resolved, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_split_as_go_does() {
        for (path, expected) in [
            ("", "."),
            ("/", "/"),
            ("//a/./b/../c/", "/a/c"),
            ("/../a", "/a"),
            ("../a/../..", "../.."),
            ("a/..", "."),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        for (path, expected) in [
            ("/a/b", ("/a", "b")),
            ("/a/b/", ("/a", "b")),
            ("/a/b/.", ("/a/b", ".")),
            ("/a", ("/", "a")),
            ("/", ("/", "/")),
            ("a", (".", "a")),
        ] {
            let (folder, name) = split_entry(path);
            assert_eq!((folder.as_str(), name.as_str()), expected, "{path}");
        }
        assert_eq!(preserve_end("/a", "a/."), "/a/.");
        assert_eq!(preserve_end("/a", "a/"), "/a/");
        assert_eq!(preserve_end("/", "/"), "/");
        assert_eq!(preserve_end("/", "."), "/.");
    }

    #[test]
    fn what_a_link_leads_to_keeps_the_links_name_and_end() {
        assert_eq!(renamed("/link", "/dir"), ("/dir".to_owned(), Some("link".to_owned())));
        assert_eq!(renamed("/link/.", "/dir"), ("/dir/.".to_owned(), None));
        assert_eq!(renamed("/link/", "/dir"), ("/dir/".to_owned(), Some("link".to_owned())));
        assert_eq!(renamed("/a/x", "/b/x"), ("/b/x".to_owned(), None));
    }
}
