//! Paths inside an image, as texts: joined and cleaned, never resolved.

/// `path` as an absolute path without `.`, `..` and doubled slashes; relative ones stand on `working_dir`.
pub(crate) fn absolute(working_dir: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { working_dir };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A destination of COPY: absolute, and a trailing slash stays, since it says that a directory is meant.
pub(crate) fn destination(working_dir: &str, path: &str) -> String {
    let names_a_directory = path.is_empty() || path == "." || path.ends_with('/') || path.ends_with("/.");
    let absolute = absolute(working_dir, path);
    if names_a_directory && absolute != "/" {
        return absolute + "/";
    }
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(absolute("", "a"), "/a");
        assert_eq!(absolute("/w/x", "../a//./b/"), "/w/a/b");
        assert_eq!(absolute("/w", "/../../a"), "/a");
        assert_eq!(absolute("/w", ""), "/w");
        assert_eq!(destination("/w", "."), "/w/");
        assert_eq!(destination("/w", "a/."), "/w/a/");
        assert_eq!(destination("/w", "/"), "/");
        assert_eq!(destination("/w", "/a"), "/a");
    }
}
