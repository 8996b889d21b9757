//! Putting limits in force, in an order that the kernel accepts.

use oci_spec::runtime::{LinuxMemory, LinuxResources};
use rustix::io::Errno;

use super::group::Place;
use super::setting::{Ignored, Need, Plan, Setting, plan};
use super::{Cgroup, Controller, Error, Version, file};
use crate::device;

impl Cgroup {
    /// Sets every limit that is present, device rules included. Absent fields are left alone.
    ///
    /// Returns what was asked for and has no effect on this host, for a warning. Some limits depend
    /// on each other (memory and memory+swap, quota and period), and which must be written first
    /// depends on what was before: what the kernel refuses is tried again after the others.
    pub fn set(&self, resources: &LinuxResources) -> Result<Vec<Ignored>, Error> {
        let plan = self.plan(resources)?;
        if let Some(memory) = resources.memory() {
            self.refuse_below_usage(memory)?;
        }
        self.settle(plan.settings)?;
        self.set_unified(resources)?;
        if let Some(rules) = resources.devices() {
            self.set_devices(&device::Rule::list_from_oci(rules)?)?;
        }
        Ok(plan.ignored)
    }

    /// Changes limits of a group that is in use: all that are present, or none of them. Device rules,
    /// limits of single devices and `unified` are left alone.
    ///
    /// What the kernel refused is undone by writing back what the files said before.
    pub fn change(&self, resources: &LinuxResources) -> Result<Vec<Ignored>, Error> {
        let plan = self.plan(resources)?;
        let before: Vec<Setting> = plan
            .settings
            .iter()
            .filter_map(|setting| self.current(setting))
            .collect();
        if let Err(error) = self.settle(plan.settings) {
            // What the group had it can have again; the error that counts is the first.
            let _ = self.settle(before);
            return Err(error);
        }
        Ok(plan.ignored)
    }

    fn plan(&self, resources: &LinuxResources) -> Result<Plan, Error> {
        let layout = self.parent().layout();
        plan(resources, |controller| match layout.find(controller) {
            Some(place) => layout.hierarchies()[place].version,
            None => layout.version(),
        })
    }

    /// Puts settings in force; those that the kernel refuses are tried again after the others.
    fn settle(&self, mut pending: Vec<Setting>) -> Result<(), Error> {
        while !pending.is_empty() {
            let before = pending.len();
            let mut refused = Vec::new();
            let mut first_error = None;
            for setting in pending {
                if let Err(error) = self.put(&setting) {
                    refused.push(setting);
                    first_error.get_or_insert(error);
                }
            }
            match first_error {
                Some(error) if refused.len() == before => return Err(error),
                _ => pending = refused,
            }
        }
        Ok(())
    }

    /// What a setting's file says now, as a setting that restores it.
    fn current(&self, setting: &Setting) -> Option<Setting> {
        let place = self.place_of(setting.controller)?;
        let (name, text) = setting
            .files
            .iter()
            .find_map(|name| Some((name, self.read(place, name).ok()?)))?;
        let value = text.lines().next().unwrap_or_default().trim();
        Some(Setting {
            files: vec![name.clone()],
            // A list that is empty inherits; the kernel does not see a write of nothing.
            value: if value.is_empty() { "\n" } else { value }.to_owned(),
            ..setting.clone()
        })
    }

    fn put(&self, setting: &Setting) -> Result<(), Error> {
        let Some(place) = self.place_of(setting.controller) else {
            return match setting.need {
                Need::WhereItExists => Ok(()),
                Need::Required => Err(Error::NoController {
                    field: setting.field,
                    controller: setting.controller.name(self.parent().layout().version()),
                }),
            };
        };
        let mut missing = None;
        for name in &setting.files {
            match self.try_write(place, name, &setting.value) {
                Ok(()) => return Ok(()),
                // A control file that is not there cannot be made either: the kernel says EACCES.
                Err(errno @ (Errno::NOENT | Errno::ACCESS | Errno::OPNOTSUPP)) => missing = Some((name, errno)),
                Err(errno) => return Err(self.refused(place, name, setting, errno)),
            }
        }
        match (setting.need, missing) {
            (Need::Required, Some((name, errno))) => Err(self.refused(place, name, setting, errno)),
            _ => Ok(()),
        }
    }

    fn refused(&self, place: Place<'_>, name: &str, setting: &Setting, errno: Errno) -> Error {
        Error::Limit {
            field: setting.field,
            value: setting.value.clone(),
            path: self.file_path(place, name),
            errno,
        }
    }

    /// `checkBeforeUpdate`: version 2 would kill processes to come below a new limit.
    fn refuse_below_usage(&self, memory: &LinuxMemory) -> Result<(), Error> {
        let limit = memory
            .limit()
            .and_then(|limit| u64::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let (Some(true), Some(limit)) = (memory.check_before_update(), limit) else {
            return Ok(());
        };
        let usage = self.stats()?.memory.map_or(0, |memory| memory.usage_bytes);
        if usage > limit {
            return Err(Error::BelowUsage { limit, usage });
        }
        Ok(())
    }

    /// OCI's `unified`: version 2 files by name.
    fn set_unified(&self, resources: &LinuxResources) -> Result<(), Error> {
        for (name, value) in resources.unified().iter().flatten() {
            let controller = name.split_once('.').and_then(|(prefix, _)| Controller::named(prefix));
            let place = match (controller, self.unified()) {
                (None, _) => {
                    return Err(Error::InvalidValue {
                        field: "unified",
                        value: name.clone(),
                        reason: "not a file of a cgroup controller",
                    });
                }
                (_, None) => {
                    return Err(Error::NotOnThisVersion {
                        field: "unified",
                        version: 1,
                    });
                }
                (Some(_), Some(_)) if name.contains('/') => {
                    return Err(Error::InvalidValue {
                        field: "unified",
                        value: name.clone(),
                        reason: "contains a slash",
                    });
                }
                (Some(_), Some(place)) => place,
            };
            for line in value.lines() {
                self.write(place, name, line)?;
            }
        }
        Ok(())
    }

    /// Puts device rules in force in place of those before.
    pub fn set_devices(&self, rules: &[device::Rule]) -> Result<(), Error> {
        match self.place_of(Controller::Devices) {
            Some(place) => self.write_device_rules(place, rules),
            None => match self.clone_into_fd()? {
                Some(directory) => Ok(device::enforce(&directory, rules)?),
                None => Err(Error::NoController {
                    field: "devices",
                    controller: Controller::Devices.name(Version::V1),
                }),
            },
        }
    }

    fn write_device_rules(&self, place: Place<'_>, rules: &[device::Rule]) -> Result<(), Error> {
        let allow = self.open_for_writing(place, ALLOW)?;
        let deny = self.open_for_writing(place, DENY)?;
        for rule in rules {
            let (fd, name) = match rule.verdict {
                device::Verdict::Allow => (&allow, ALLOW),
                device::Verdict::Deny => (&deny, DENY),
            };
            for line in rule.to_v1() {
                file::write(fd, &line).map_err(|errno| {
                    file::failed(&format!("write {line:?} to"), &self.file_path(place, name), errno)
                })?;
            }
        }
        Ok(())
    }
}

const ALLOW: &str = "devices.allow";
const DENY: &str = "devices.deny";
