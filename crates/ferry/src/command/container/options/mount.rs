//! `--mount type=bind,source=/a,target=/b,readonly`: Docker's long form of mounts.

use bollard_stubs::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use crate::failure::Failure;
use crate::format::size;

/// Reads one `--mount`.
pub(super) fn read(text: &str) -> Result<Mount, Failure> {
    let invalid = |why: String| Failure::new(format!("invalid mount {text:?}: {why}"));
    let mut mount = Mount {
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    };
    let mut bind = MountBindOptions::default();
    let mut volume = MountVolumeOptions::default();
    let mut driver = MountVolumeOptionsDriverConfig::default();
    let mut tmpfs = MountTmpfsOptions::default();
    let mut image = MountImageOptions::default();
    for field in text.split(',') {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.trim().to_ascii_lowercase();
        let needed = || value.ok_or_else(|| invalid(format!("{key} needs a value")));
        let switch = || match value {
            None => Ok(true),
            Some(value) => crate::cli::go_bool(value).map_err(|why| invalid(format!("{key}: {why}"))),
        };
        match key.as_str() {
            "type" => mount.typ = Some(kind(needed()?).ok_or_else(|| invalid(format!("unknown type {field:?}")))?),
            "source" | "src" => mount.source = Some(needed()?.to_owned()),
            "target" | "dst" | "destination" => mount.target = Some(needed()?.to_owned()),
            "readonly" | "ro" => mount.read_only = Some(switch()?),
            "consistency" => mount.consistency = Some(needed()?.to_owned()),
            "bind-propagation" => {
                let value = needed()?;
                let parsed = propagation(value).ok_or_else(|| invalid(format!("unknown propagation {value:?}")))?;
                bind.propagation = Some(parsed);
            }
            "bind-nonrecursive" => bind.non_recursive = Some(switch()?),
            "bind-recursive" => match needed()? {
                "enabled" => {}
                "disabled" => bind.non_recursive = Some(true),
                "writable" => bind.read_only_non_recursive = Some(true),
                "readonly" => bind.read_only_force_recursive = Some(true),
                other => return Err(invalid(format!("unknown bind-recursive {other:?}"))),
            },
            "bind-create-src" => bind.create_mountpoint = Some(switch()?),
            "volume-nocopy" => volume.no_copy = Some(switch()?),
            "volume-subpath" => volume.subpath = Some(needed()?.to_owned()),
            "volume-driver" => driver.name = Some(needed()?.to_owned()),
            "volume-label" => {
                let (name, label) = pair(needed()?);
                volume.labels.get_or_insert_default().insert(name, label);
            }
            "volume-opt" => {
                let (name, option) = pair(needed()?);
                driver.options.get_or_insert_default().insert(name, option);
            }
            "image-subpath" => image.subpath = Some(needed()?.to_owned()),
            "tmpfs-size" => {
                let bytes = size::parse_binary(needed()?).map_err(|error| invalid(error.to_string()))?;
                tmpfs.size_bytes = Some(bytes);
            }
            "tmpfs-mode" => {
                let value = needed()?;
                let mode = i64::from_str_radix(value, 8).map_err(|_| invalid(format!("{value:?} is no octal mode")))?;
                tmpfs.mode = Some(mode);
            }
            _ => return Err(invalid(format!("unknown field {key:?}"))),
        }
    }
    if mount.target.as_deref().is_none_or(str::is_empty) {
        return Err(invalid("the target is missing".to_owned()));
    }
    if driver != MountVolumeOptionsDriverConfig::default() {
        volume.driver_config = Some(driver);
    }
    // Only the options of its own type go with a mount; others are a mistake that the engine reports.
    mount.bind_options = (bind != MountBindOptions::default()).then_some(bind);
    mount.volume_options = (volume != MountVolumeOptions::default()).then_some(volume);
    mount.tmpfs_options = (tmpfs != MountTmpfsOptions::default()).then_some(tmpfs);
    mount.image_options = (image != MountImageOptions::default()).then_some(image);
    Ok(mount)
}

fn kind(text: &str) -> Option<MountType> {
    Some(match text.to_ascii_lowercase().as_str() {
        "bind" => MountType::BIND,
        "volume" => MountType::VOLUME,
        "tmpfs" => MountType::TMPFS,
        "image" => MountType::IMAGE,
        _ => return None,
    })
}

fn propagation(text: &str) -> Option<MountBindOptionsPropagationEnum> {
    use MountBindOptionsPropagationEnum as P;
    Some(match text {
        "private" => P::PRIVATE,
        "rprivate" => P::RPRIVATE,
        "shared" => P::SHARED,
        "rshared" => P::RSHARED,
        "slave" => P::SLAVE,
        "rslave" => P::RSLAVE,
        _ => return None,
    })
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_into_the_api_s_fields() {
        let json = |text| serde_json::to_value(read(text).expect("a mount")).expect("JSON");
        assert_eq!(
            json("type=bind,src=/a,dst=/b,ro,bind-propagation=rslave"),
            serde_json::json!({"Target": "/b", "Source": "/a", "Type": "bind", "ReadOnly": true,
                "BindOptions": {"Propagation": "rslave"}})
        );
        assert_eq!(
            json("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777"),
            serde_json::json!({"Target": "/t", "Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1_048_576, "Mode": 1023}})
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("type=floppy,target=/a", "unknown type"),
            ("type=bind,source=/a", "the target is missing"),
            ("target=/a,colour=red", "unknown field \"colour\""),
            ("target", "target needs a value"),
            ("target=/a,ro=perhaps", "expected true or false"),
            ("target=/a,tmpfs-mode=9", "no octal mode"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
