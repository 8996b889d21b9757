//! Limits as values of control files: a pure translation of OCI resources to either version.
//!
//! Source: runtime-spec `config-linux.md#control-groups`; kernel `admin-guide/cgroup-v1/` and
//! `admin-guide/cgroup-v2.rst`.

mod block_io;
mod cpu;
mod memory;

use oci_spec::runtime::LinuxResources;

use super::{Controller, Error, Version};

/// One value for one control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cgroup) struct Setting {
    /// The OCI field it came from, for messages.
    pub(in crate::cgroup) field: &'static str,
    /// Whose file it is.
    pub(in crate::cgroup) controller: Controller,
    /// File names, of which the first that exists is taken.
    pub(in crate::cgroup) files: Vec<String>,
    /// What is written.
    pub(in crate::cgroup) value: String,
    /// Whether a host that has no such file is at fault.
    pub(in crate::cgroup) need: Need,
}

/// What becomes of a setting whose file or controller is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cgroup) enum Need {
    /// The limit cannot be kept: an error.
    Required,
    /// It says "no limit", or repeats another in a newer file: nothing is lost.
    WhereItExists,
}

/// A limit that was asked for and has no effect on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored {
    /// The OCI field.
    pub field: &'static str,
    /// Why, without full stop.
    pub reason: &'static str,
}

/// The settings of one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cgroup) struct Plan {
    pub(in crate::cgroup) settings: Vec<Setting>,
    pub(in crate::cgroup) ignored: Vec<Ignored>,
}

/// Translates everything but device rules. `version_of` says by whose rules a controller plays here.
pub(in crate::cgroup) fn plan(
    resources: &LinuxResources,
    version_of: impl Fn(Controller) -> Version,
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    if let Some(memory) = resources.memory() {
        plan.memory(memory, version_of(Controller::Memory))?;
    }
    if let Some(cpu) = resources.cpu() {
        plan.cpu(cpu, version_of(Controller::Cpu));
        plan.cpuset(cpu);
    }
    if let Some(pids) = resources.pids() {
        plan.pids(pids.limit());
    }
    if let Some(block_io) = resources.block_io() {
        plan.block_io(block_io, version_of(Controller::BlockIo));
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        plan.hugetlb(limit.page_size(), limit.limit(), version_of(Controller::Hugetlb))?;
    }
    if let Some(network) = resources.network() {
        if let Some(class) = network.class_id() {
            plan.required(
                "network.classID",
                Controller::NetCls,
                "net_cls.classid",
                class.to_string(),
            );
        }
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            plan.required("network.priorities", Controller::NetPrio, "net_prio.ifpriomap", value);
        }
    }
    for (device, limits) in resources.rdma().iter().flatten() {
        let mut value = device.clone();
        for (key, limit) in [
            ("hca_handle", limits.hca_handles()),
            ("hca_object", limits.hca_objects()),
        ] {
            if let Some(limit) = limit {
                value.push_str(&format!(" {key}={limit}"));
            }
        }
        plan.required("rdma", Controller::Rdma, "rdma.max", value);
    }
    Ok(plan)
}

impl Plan {
    fn add(&mut self, field: &'static str, controller: Controller, files: &[&str], value: String, need: Need) {
        self.settings.push(Setting {
            field,
            controller,
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            value,
            need,
        });
    }

    fn required(&mut self, field: &'static str, controller: Controller, file: &str, value: String) {
        self.add(field, controller, &[file], value, Need::Required);
    }

    /// A limit where −1 means none.
    fn limit(&mut self, field: &'static str, controller: Controller, file: &str, limit: i64, version: Version) {
        let (value, need) = match (limit, version) {
            (0.., _) => (limit.to_string(), Need::Required),
            (_, Version::V1) => ("-1".to_owned(), Need::WhereItExists),
            (_, Version::V2) => ("max".to_owned(), Need::WhereItExists),
        };
        self.add(field, controller, &[file], value, need);
    }

    fn ignore(&mut self, field: &'static str, reason: &'static str) {
        self.ignored.push(Ignored { field, reason });
    }

    fn pids(&mut self, limit: i64) {
        match limit {
            0 => {}
            1.. => self.required("pids.limit", Controller::Pids, "pids.max", limit.to_string()),
            _ => self.add(
                "pids.limit",
                Controller::Pids,
                &["pids.max"],
                "max".to_owned(),
                Need::WhereItExists,
            ),
        }
    }

    fn hugetlb(&mut self, page_size: &str, limit: i64, version: Version) -> Result<(), Error> {
        let digits = page_size
            .trim_end_matches("KB")
            .trim_end_matches("MB")
            .trim_end_matches("GB");
        if digits.len() + 2 != page_size.len() || digits.parse::<u64>().is_err() {
            return Err(Error::InvalidValue {
                field: "hugepageLimits.pageSize",
                value: page_size.to_owned(),
                reason: "not a size such as 2MB or 1GB",
            });
        }
        let (file, reserved) = match version {
            Version::V1 => (
                format!("hugetlb.{page_size}.limit_in_bytes"),
                format!("hugetlb.{page_size}.rsvd.limit_in_bytes"),
            ),
            Version::V2 => (
                format!("hugetlb.{page_size}.max"),
                format!("hugetlb.{page_size}.rsvd.max"),
            ),
        };
        self.limit("hugepageLimits", Controller::Hugetlb, &file, limit, version);
        // Also what is reserved and not yet touched, or a process dies at the first touch.
        let value = limit.to_string();
        self.add(
            "hugepageLimits",
            Controller::Hugetlb,
            &[&reserved],
            value,
            Need::WhereItExists,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn planned(json: &str, version: Version) -> Vec<String> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let plan = plan(&resources, |_| version).unwrap();
        plan.settings
            .iter()
            .map(|setting| format!("{}={}", setting.files.join("|"), setting.value))
            .chain(plan.ignored.iter().map(|ignored| format!("ignored {}", ignored.field)))
            .collect()
    }

    #[track_caller]
    pub(super) fn check(json: &str, v1: &[&str], v2: &[&str]) {
        assert_eq!(planned(json, Version::V1), v1, "version 1");
        assert_eq!(planned(json, Version::V2), v2, "version 2");
    }

    #[test]
    fn pids_and_huge_pages() {
        check(r#"{"pids": {"limit": 100}}"#, &["pids.max=100"], &["pids.max=100"]);
        check(r#"{"pids": {"limit": -1}}"#, &["pids.max=max"], &["pids.max=max"]);
        check(r#"{"pids": {"limit": 0}}"#, &[], &[]);
        check(
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#,
            &[
                "hugetlb.2MB.limit_in_bytes=4194304",
                "hugetlb.2MB.rsvd.limit_in_bytes=4194304",
            ],
            &["hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"],
        );
        let hostile: LinuxResources =
            serde_json::from_str(r#"{"hugepageLimits": [{"pageSize": "../../x", "limit": 1}]}"#).unwrap();
        assert!(plan(&hostile, |_| Version::V2).is_err());
    }
}
