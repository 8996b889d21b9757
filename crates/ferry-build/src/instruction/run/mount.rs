//! `RUN --mount=type=bind|cache|secret|tmpfs,…`: what else a step sees, without it becoming part of the image.

use std::collections::BTreeMap;

use crate::MountAccess;
use crate::dockerfile::Fault;
use crate::plan::{
    MountKind, PlanFault, Presence, RootRef, RunMount, SecretPlace, Sharing, SourceRoot, StageBuilder, paths,
};

/// A mount as it is written; variables are still in the values.
#[derive(Debug)]
pub(super) struct MountSpec {
    written: String,
    kind: Kind,
    fields: BTreeMap<&'static str, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bind,
    Cache,
    Secret,
    Tmpfs,
}

/// Where secrets appear that name no place.
const SECRETS: &str = "/run/secrets";

/// Keys with their other spellings, and the kinds that take them.
const FIELDS: &[(&str, &[&str], &[Kind])] = &[
    (
        "target",
        &["target", "dst", "destination"],
        &[Kind::Bind, Kind::Cache, Kind::Secret, Kind::Tmpfs],
    ),
    ("source", &["source", "src"], &[Kind::Bind, Kind::Cache]),
    ("from", &["from"], &[Kind::Bind, Kind::Cache]),
    ("readonly", &["readonly", "ro"], &[Kind::Bind, Kind::Cache]),
    ("readwrite", &["readwrite", "rw"], &[Kind::Bind, Kind::Cache]),
    ("id", &["id"], &[Kind::Cache, Kind::Secret]),
    ("sharing", &["sharing"], &[Kind::Cache]),
    ("mode", &["mode"], &[Kind::Cache, Kind::Secret]),
    ("uid", &["uid"], &[Kind::Cache, Kind::Secret]),
    ("gid", &["gid"], &[Kind::Cache, Kind::Secret]),
    ("required", &["required"], &[Kind::Secret]),
    ("env", &["env"], &[Kind::Secret]),
    ("size", &["size"], &[Kind::Tmpfs]),
];

impl MountSpec {
    /// Reads `type=cache,target=/x,…`; `type` is `bind` when it is left out.
    pub(super) fn parse(written: &str) -> Result<Self, Fault> {
        let bad = |reason: String| Fault::BadMount {
            mount: written.to_owned(),
            reason,
        };
        let pairs = comma_separated(written)
            .into_iter()
            .map(|entry| match entry.split_once('=') {
                Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value.to_owned())),
                None => (entry.trim().to_ascii_lowercase(), None),
            })
            .collect::<Vec<_>>();
        let kind = match pairs.iter().rev().find(|(key, _)| key == "type") {
            None => Kind::Bind,
            Some((_, Some(kind))) => match kind.as_str() {
                "bind" => Kind::Bind,
                "cache" => Kind::Cache,
                "tmpfs" => Kind::Tmpfs,
                "secret" => Kind::Secret,
                "ssh" => {
                    return Err(Fault::UnsupportedFlag {
                        instruction: "RUN",
                        flag: format!("mount=type={kind}"),
                    });
                }
                other => {
                    return Err(bad(format!(
                        "unsupported mount type {other:?}, expected bind, cache, secret or tmpfs"
                    )));
                }
            },
            Some((_, None)) => return Err(bad("type needs a value".to_owned())),
        };
        let mut fields = BTreeMap::new();
        for (key, value) in pairs.into_iter().filter(|(key, _)| key != "type") {
            let Some((name, _, kinds)) = FIELDS
                .iter()
                .find(|(_, spellings, _)| spellings.contains(&key.as_str()))
            else {
                let known: Vec<&str> = FIELDS
                    .iter()
                    .flat_map(|(_, spellings, _)| spellings.iter().copied())
                    .collect();
                let hint = crate::dockerfile::nearest(&key, &known)
                    .map_or_else(String::new, |nearest| format!(", did you mean {nearest}?"));
                return Err(bad(format!("unexpected key {key:?}{hint}")));
            };
            if !kinds.contains(&kind) {
                return Err(bad(format!("unexpected key {key:?} for this type")));
            }
            let value = match (value, *name) {
                (Some(value), _) => value,
                (None, "readonly" | "readwrite" | "required") => "true".to_owned(),
                (None, _) => return Err(bad(format!("{key} needs a value"))),
            };
            fields.insert(*name, value);
        }
        match kind {
            Kind::Bind | Kind::Tmpfs if !fields.contains_key("target") => {
                return Err(bad("target is required".to_owned()));
            }
            Kind::Cache if !fields.contains_key("target") => {
                return Err(bad("target is required for a cache".to_owned()));
            }
            Kind::Secret if !fields.contains_key("id") && !fields.contains_key("target") => {
                return Err(bad("a secret needs an id or a target".to_owned()));
            }
            _ => {}
        }
        Ok(Self {
            written: written.to_owned(),
            kind,
            fields,
        })
    }

    /// The stage or image that it shows.
    pub(super) fn from(&self) -> Option<&str> {
        self.fields.get("from").map(String::as_str)
    }

    /// The mount with variables expanded; a root that it reads is added to `roots`.
    pub(super) fn to_op(
        &self,
        stage: &mut StageBuilder<'_, '_>,
        roots: &mut Vec<RootRef>,
    ) -> Result<RunMount, PlanFault> {
        let field = |stage: &mut StageBuilder<'_, '_>, name: &str| self.field(stage, name);
        let target = match (field(stage, "target")?, self.kind) {
            (Some(target), _) => target,
            (None, Kind::Secret) => format!("{SECRETS}/{}", self.secret_id(stage)?),
            (None, _) => String::new(),
        };
        let target = paths::absolute(&stage.image.config.working_dir, &target);
        if target == "/" {
            return Err(self.bad("target can not be /"));
        }
        let source = field(stage, "source")?.unwrap_or_default();
        let kind = match self.kind {
            Kind::Tmpfs => MountKind::Tmpfs {
                size_bytes: field(stage, "size")?
                    .map(|size| size_bytes(&size).ok_or_else(|| self.bad("size is no number of bytes")))
                    .transpose()?,
            },
            Kind::Secret => self.secret(stage)?,
            Kind::Bind => {
                let from = match self.from() {
                    Some(from) => {
                        roots.push(stage.source(from)?);
                        SourceRoot::Root
                    }
                    None => {
                        roots.push(stage.context_root(&source)?);
                        SourceRoot::Context
                    }
                };
                MountKind::Bind {
                    from,
                    input: roots.len() - 1,
                    path: paths::absolute("/", &source),
                    access: self.access(MountAccess::ReadOnly)?,
                }
            }
            Kind::Cache => {
                if self.from().is_some() {
                    return Err(PlanFault::UnsupportedMount {
                        mount: self.written.clone(),
                        what: "from in a cache",
                    });
                }
                MountKind::Cache {
                    id: field(stage, "id")?
                        .filter(|id| !id.is_empty())
                        .unwrap_or_else(|| target.clone()),
                    path: paths::absolute("/", &source),
                    sharing: match field(stage, "sharing")?.as_deref() {
                        None | Some("shared") => Sharing::Shared,
                        Some("private") => Sharing::Private,
                        Some("locked") => Sharing::Locked,
                        Some(_) => {
                            return Err(self.bad("sharing is one of shared, private and locked"));
                        }
                    },
                    mode: self.number(stage, "mode", 8, 0o755)? & 0o7777,
                    uid: self.number(stage, "uid", 10, 0)?,
                    gid: self.number(stage, "gid", 10, 0)?,
                    access: self.access(MountAccess::ReadWrite)?,
                }
            }
        };
        Ok(RunMount { target, kind })
    }

    fn secret(&self, stage: &mut StageBuilder<'_, '_>) -> Result<MountKind, PlanFault> {
        let variable = self.field(stage, "env")?.filter(|name| !name.is_empty());
        let place = match (&variable, self.fields.contains_key("target")) {
            (Some(_), false) => SecretPlace::Variable,
            _ => SecretPlace::File,
        };
        Ok(MountKind::Secret {
            id: self.secret_id(stage)?,
            place,
            variable,
            presence: match self.fields.get("required").map(String::as_str) {
                None | Some("false" | "0") => Presence::Optional,
                Some("true" | "1") => Presence::Required,
                Some(_) => return Err(self.bad("required is true or false")),
            },
            mode: self.number(stage, "mode", 8, 0o400)? & 0o777,
            uid: self.number(stage, "uid", 10, 0)?,
            gid: self.number(stage, "gid", 10, 0)?,
        })
    }

    /// What the client knows a secret by: without an id, the last part of its target.
    fn secret_id(&self, stage: &mut StageBuilder<'_, '_>) -> Result<String, PlanFault> {
        let id = match self.field(stage, "id")? {
            Some(id) => id,
            None => {
                let target = self.field(stage, "target")?.unwrap_or_default();
                target.rsplit('/').next().unwrap_or_default().to_owned()
            }
        };
        if id.is_empty() {
            return Err(self.bad("a secret needs an id or a target"));
        }
        Ok(id)
    }

    fn field(&self, stage: &mut StageBuilder<'_, '_>, name: &str) -> Result<Option<String>, PlanFault> {
        self.fields.get(name).map(|written| stage.expand(written)).transpose()
    }

    fn number(&self, stage: &mut StageBuilder<'_, '_>, name: &str, radix: u32, default: u32) -> Result<u32, PlanFault> {
        self.field(stage, name)?.map_or(Ok(default), |text| {
            u32::from_str_radix(&text, radix).map_err(|_| self.bad(&format!("{name} is no number")))
        })
    }

    fn access(&self, default: MountAccess) -> Result<MountAccess, PlanFault> {
        for (name, given, otherwise) in [
            ("readonly", MountAccess::ReadOnly, MountAccess::ReadWrite),
            ("readwrite", MountAccess::ReadWrite, MountAccess::ReadOnly),
        ] {
            match self.fields.get(name).map(String::as_str) {
                None => {}
                Some("true" | "1") => return Ok(given),
                Some("false" | "0") => return Ok(otherwise),
                Some(_) => return Err(self.bad(&format!("{name} is true or false"))),
            }
        }
        Ok(default)
    }

    fn bad(&self, reason: &str) -> PlanFault {
        PlanFault::Written(Fault::BadMount {
            mount: self.written.clone(),
            reason: reason.to_owned(),
        })
    }
}

/// Entries between commas; a quoted entry may hold commas. Source: RFC 4180.
fn comma_separated(text: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => entries.push(String::new()),
            c => {
                if let Some(entry) = entries.last_mut() {
                    entry.push(c);
                }
            }
        }
    }
    entries.retain(|entry| !entry.is_empty());
    entries
}

/// `64m`, `1g`, `4096`. Source: docker/go-units `RAMInBytes`.
fn size_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let (digits, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        't' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::testing::{fault, runs};

    fn mount(written: &str) -> RunMount {
        runs(&format!("WORKDIR /w\nENV v=/var\nRUN --mount={written} x"))
            .remove(0)
            .mounts
            .remove(0)
    }

    #[test]
    fn mounts() {
        assert_eq!(
            mount("type=tmpfs,target=$v/t,size=64m"),
            RunMount {
                target: "/var/t".into(),
                kind: MountKind::Tmpfs {
                    size_bytes: Some(64 << 20)
                },
            }
        );
        assert_eq!(
            mount("type=cache,dst=c,sharing=locked,uid=5,mode=0700"),
            RunMount {
                target: "/w/c".into(),
                kind: MountKind::Cache {
                    id: "/w/c".into(),
                    path: "/".into(),
                    sharing: Sharing::Locked,
                    mode: 0o700,
                    uid: 5,
                    gid: 0,
                    access: MountAccess::ReadWrite,
                },
            }
        );
        assert_eq!(
            mount("target=/src,source=lib,rw"),
            RunMount {
                target: "/src".into(),
                kind: MountKind::Bind {
                    from: SourceRoot::Context,
                    input: 0,
                    path: "/lib".into(),
                    access: MountAccess::ReadWrite,
                },
            }
        );
    }

    #[test]
    fn secrets() {
        let secret = |written: &str| {
            let RunMount { target, kind } = mount(written);
            let MountKind::Secret {
                id, place, variable, ..
            } = kind
            else {
                panic!("{written} is no secret");
            };
            (target, id, place, variable)
        };
        let file = |target: &str, id: &str| (target.to_owned(), id.to_owned(), SecretPlace::File, None);
        assert_eq!(secret("type=secret,id=key"), file("/run/secrets/key", "key"));
        assert_eq!(secret("type=secret,target=/a/key,required"), file("/a/key", "key"));
        assert_eq!(secret("type=secret,id=key,dst=k"), file("/w/k", "key"));
        let (_, _, place, variable) = secret("type=secret,id=key,env=KEY");
        assert_eq!((place, variable.as_deref()), (SecretPlace::Variable, Some("KEY")));
    }

    #[test]
    fn faults() {
        let check = |written: &str, expect: &str| {
            let got = fault(&format!("RUN --mount={written} x"));
            assert!(got.contains(expect), "{written}: {got}");
        };
        check("type=tmpfs", "target is required");
        check("type=nfs,target=/x", "unsupported mount type");
        check("type=tmpfs,taget=/x", "did you mean target?");
        check("type=tmpfs,target=/x,from=y", "unexpected key \"from\" for this type");
        check("type=cache,target=/x,sharing=mine", "sharing is one of");
        check("type=cache,target=/", "target can not be /");
        check("type=secret", "a secret needs an id or a target");
        check("type=secret,id=x,required=maybe", "required is true or false");
        check("type=ssh", "RUN --mount=type=ssh is not supported yet");
        check("type=tmpfs,target=/x,size=big", "size is no number of bytes");
    }
}
