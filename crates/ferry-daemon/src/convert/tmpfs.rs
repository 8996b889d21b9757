//! Temporary file systems: the API's two ways of asking for them, and of showing them.

use std::collections::HashMap;

use bollard_stubs::models::{Mount, MountPoint, MountTmpfsOptions, MountType};
use ferry_engine::container::{Tmpfs, TmpfsForm};

use crate::error::ApiError;

/// `HostConfig.Tmpfs`: paths and options in mount(8)'s words.
pub(super) fn parse_options(asked: HashMap<String, String>) -> Vec<Tmpfs> {
    let mut all: Vec<Tmpfs> = asked
        .into_iter()
        .map(|(target, options)| Tmpfs {
            target: target.into(),
            options: split(&options),
            form: TmpfsForm::Tmpfs,
        })
        .collect();
    all.sort_by(|left, right| left.target.cmp(&right.target));
    all
}

/// A mount of the type `tmpfs`.
pub(super) fn parse_mount(mount: Mount) -> Result<Tmpfs, ApiError> {
    let invalid = |reason: String| {
        Err(ApiError::bad_request(format!(
            "invalid mount config for type \"tmpfs\": {reason}"
        )))
    };
    if mount.source.is_some_and(|source| !source.is_empty()) {
        return invalid("field Source must not be specified".to_owned());
    }
    let asked = mount.tmpfs_options.unwrap_or_default();
    let mut options = Vec::new();
    if mount.read_only == Some(true) {
        options.push("ro".to_owned());
    }
    match (asked.mode, asked.size_bytes) {
        (Some(mode), _) if !(0..=0o7777).contains(&mode) => return invalid(format!("mode {mode} is no mode")),
        (_, Some(size)) if size < 0 => return invalid(format!("size {size} is less than 0")),
        (mode, size) => {
            options.extend(mode.filter(|mode| *mode != 0).map(|mode| format!("mode={mode:o}")));
            options.extend(size.filter(|size| *size != 0).map(|size| format!("size={size}")));
        }
    }
    options.extend(asked.options.unwrap_or_default().iter().map(|option| option.join("=")));
    Ok(Tmpfs {
        target: mount.target.unwrap_or_default().into(),
        options,
        form: TmpfsForm::Mount,
    })
}

/// As `HostConfig.Tmpfs` has them.
pub(super) fn show_options(all: &[Tmpfs]) -> Option<HashMap<String, String>> {
    let shown: HashMap<String, String> = of_form(all, TmpfsForm::Tmpfs)
        .map(|tmpfs| (target(tmpfs), tmpfs.options.join(",")))
        .collect();
    (!shown.is_empty()).then_some(shown)
}

/// As `HostConfig.Mounts` has them.
pub(super) fn show_mounts(all: &[Tmpfs]) -> Option<Vec<Mount>> {
    let value = |tmpfs: &Tmpfs, key: &str, radix| {
        let found = tmpfs.options.iter().find_map(|option| option.strip_prefix(key));
        found.and_then(|text| i64::from_str_radix(text, radix).ok())
    };
    let shown: Vec<Mount> = of_form(all, TmpfsForm::Mount)
        .map(|tmpfs| Mount {
            typ: Some(MountType::TMPFS),
            target: Some(target(tmpfs)),
            read_only: tmpfs.options.iter().any(|option| option == "ro").then_some(true),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: value(tmpfs, "size=", 10),
                mode: value(tmpfs, "mode=", 8),
                options: None,
            }),
            ..Default::default()
        })
        .collect();
    (!shown.is_empty()).then_some(shown)
}

/// As `Mounts` has them: Docker lists those of `--mount` only.
pub(super) fn mount_points(all: &[Tmpfs]) -> impl Iterator<Item = MountPoint> {
    of_form(all, TmpfsForm::Mount).map(|tmpfs| MountPoint {
        typ: Some(MountType::TMPFS.to_string()),
        source: Some(String::new()),
        destination: Some(target(tmpfs)),
        mode: Some(String::new()),
        rw: Some(!tmpfs.options.iter().any(|option| option == "ro")),
        propagation: Some(String::new()),
        ..Default::default()
    })
}

fn of_form(all: &[Tmpfs], form: TmpfsForm) -> impl Iterator<Item = &Tmpfs> {
    all.iter().filter(move |tmpfs| tmpfs.form == form)
}

fn target(tmpfs: &Tmpfs) -> String {
    tmpfs.target.to_string_lossy().into_owned()
}

fn split(options: &str) -> Vec<String> {
    let options = options.split(',').filter(|option| !option.is_empty());
    options.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_shown() {
        let asked = HashMap::from([("/a".to_owned(), "size=1m,exec".to_owned())]);
        let tmpfs = parse_options(asked.clone());
        assert_eq!(tmpfs[0].options, ["size=1m", "exec"]);
        assert_eq!((show_options(&tmpfs), show_mounts(&tmpfs)), (Some(asked), None));
        let mount = Mount {
            typ: Some(MountType::TMPFS),
            target: Some("/b".to_owned()),
            read_only: Some(true),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: Some(4096),
                mode: Some(0o1777),
                options: None,
            }),
            ..Default::default()
        };
        let tmpfs = parse_mount(mount.clone()).expect("a tmpfs");
        assert_eq!(tmpfs.options, ["ro", "mode=1777", "size=4096"]);
        assert_eq!(show_mounts(&[tmpfs]), Some(vec![mount.clone()]));
        let bound = Mount {
            source: Some("/x".to_owned()),
            ..mount
        };
        assert!(parse_mount(bound).is_err());
    }
}
