//! Secrets of a RUN, asked of the client just before the process starts.

use super::Solver;
use crate::plan::{MountKind, Presence, RunOp, SecretPlace};
use crate::{MountSource, StepFailure, StepMount};

/// The secrets of one step.
#[derive(Default)]
pub(super) struct StepSecrets {
    /// Those that are files.
    pub(super) mounts: Vec<StepMount>,
    /// Those that are variables.
    pub(super) variables: Variables,
}

/// Variables that hold secrets: name and value.
#[derive(Default)]
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    /// `env` with these in the place of those of the same names.
    pub(super) fn over<'a>(&self, env: impl Iterator<Item = &'a String>) -> Vec<String> {
        let is_hidden = |entry: &str| {
            let name = entry.split_once('=').map_or(entry, |(name, _)| name);
            self.0.iter().any(|(secret, _)| secret == name)
        };
        let mut all: Vec<String> = env.filter(|entry| !is_hidden(entry)).cloned().collect();
        all.extend(self.0.iter().map(|(name, value)| format!("{name}={value}")));
        all
    }
}

impl Solver<'_> {
    pub(super) async fn secrets(&self, op: &RunOp) -> Result<StepSecrets, StepFailure> {
        let mut secrets = StepSecrets::default();
        for mount in &op.mounts {
            let MountKind::Secret {
                id,
                place,
                variable,
                presence,
                mode,
                uid,
                gid,
            } = &mount.kind
            else {
                continue;
            };
            let bad = |reason| StepFailure::Secret { id: id.clone(), reason };
            let Some(secret) = self.ports.context.secret(id).await? else {
                match presence {
                    Presence::Optional => continue,
                    Presence::Required => return Err(bad("not found; give it by --secret")),
                }
            };
            if let Some(name) = variable {
                let value = std::str::from_utf8(secret.expose())
                    .ok()
                    .filter(|value| !value.contains('\0'))
                    .ok_or_else(|| bad("it cannot be a variable: it is no text"))?;
                secrets.variables.0.push((name.clone(), value.to_owned()));
            }
            if *place == SecretPlace::File {
                secrets.mounts.push(StepMount {
                    target: mount.target.clone(),
                    source: MountSource::Secret {
                        secret,
                        mode: *mode,
                        uid: *uid,
                        gid: *gid,
                    },
                });
            }
        }
        Ok(secrets)
    }
}
