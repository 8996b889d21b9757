//! `create`: everything up to a process that waits.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use ferry_sys::{
    SingleThreaded,
    process::{Child, Namespaces},
};
use oci_spec::runtime::{Hooks, Linux, LinuxIdMapping, Process, Spec};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    ContainerId, Error, Home, Record, Status, Warnings, cgroups, config, console,
    home::write_atomically,
    making::Making,
    process::treatment,
    record::{ProcessRecord, keep_config},
    seccomp,
    status::{start_address, state_bytes},
};
use crate::{
    Fault, Root, Warning,
    cgroup::{Cgroup, Layout, Parent},
    container::{
        BeforeRoot, ContainerPlan, Gate, NamespacePlan, Orphan, ProcessPlan, Streams, Surroundings, bear, hook,
        parse_bundle_sysctls, personality, user_namespace,
    },
    rootfs::{Manner, Plan, open_root},
};

/// What `create` is told besides an id.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// The bundle's folder, absolute.
    pub bundle: PathBuf,
    /// Where a terminal's controlling side is sent, if the process is to have one.
    pub console_socket: Option<PathBuf>,
    /// The file that will hold the first process' number.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors after the standard streams the program gets too.
    pub preserve_fds: i32,
}

/// A container that was created.
#[derive(Debug)]
pub struct Created {
    /// Its first process, a child of the caller.
    pub child: Child,
    /// What to tell the user.
    pub warnings: Warnings,
}

/// Makes a container whose process waits for [`super::start()`]. If it fails nothing is left.
pub fn create(home: &Home, id: &ContainerId, options: &CreateOptions) -> Result<Created, Error> {
    let proof = SingleThreaded::prove().map_err(Error::file("count threads in", "/proc/self/task"))?;
    let (spec, bytes) = config::load(&options.bundle.join("config.json"))?;
    config::check(&spec)?;
    // Relative sources of mounts are below the bundle.
    std::env::set_current_dir(&options.bundle).map_err(Error::file("enter", &options.bundle))?;
    let rootfs = config::rootfs(&spec, &options.bundle)?;
    let linux = spec.linux().clone().unwrap_or_default();
    let mut record = first_record(id, &spec, &linux, options, &rootfs)?;
    let console = open_console(&spec, options)?;

    let folder = home.claim(id)?;
    let mut making = Making::new(folder.clone());
    record.save(&folder)?;
    keep_config(&folder, &bytes)?;
    let listener = listen_for_start(&folder)?;
    let (cgroup, mut warnings) = make_cgroup(&record, &spec, &mut making)?;

    let hooks = spec.hooks().clone().unwrap_or_default();
    let parts = Parts {
        proof,
        record: &record,
        spec: &spec,
        linux: &linux,
        hooks: &hooks,
        cgroup: &cgroup,
    };
    let (plan, more) = parts.plan(listener, options)?;
    warnings.extend(more);
    let mut prepared = |child: &Child| {
        let mut record = record.clone();
        record.process = ProcessRecord::of(child.pid);
        let state = state_bytes(&record, Status::Creating);
        // To these hooks the container has always been a created one. Source: OCI runtime-spec 1.0, crun.
        let created = state_bytes(&record, Status::Created);
        let prestart = hooks.prestart().as_deref().unwrap_or_default();
        hook::run_all(prestart, "prestart", &created)?;
        hook::run_all(
            hooks.create_runtime().as_deref().unwrap_or_default(),
            "createRuntime",
            &state,
        )?;
        Ok(state)
    };
    let (_, _, (child, terminal)) = bear(plan, &mut prepared)?;
    let pid = child.pid;
    making.has_child(child);

    if let (Some((socket, path)), Some(terminal)) = (&console, &terminal) {
        console::hand_over(socket, path, terminal)?;
    }
    record.process = Some(ProcessRecord::of(pid).ok_or(Fault::Died)?);
    record.save(&folder)?;
    if let Some(path) = &options.pid_file {
        write_atomically(path, pid.to_string().as_bytes())?;
        making.has_pid_file(path.clone());
    }
    let child = making.keep().ok_or(Fault::Died)?;
    Ok(Created { child, warnings })
}

fn first_record(
    id: &ContainerId,
    spec: &Spec,
    linux: &Linux,
    options: &CreateOptions,
    rootfs: &Path,
) -> Result<Record, Error> {
    let (cgroup_parent, cgroup_name) = cgroups::place(linux.cgroups_path().as_deref(), id)?;
    let some = |hooks: Option<&Vec<_>>| hooks.is_some_and(|hooks| !hooks.is_empty());
    let hooks = spec.hooks().as_ref();
    Ok(Record {
        version: Record::VERSION,
        oci_version: spec.version().clone(),
        id: id.to_string(),
        bundle: options.bundle.clone(),
        rootfs: rootfs.to_owned(),
        created: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        annotations: spec.annotations().clone().unwrap_or_default(),
        process: None,
        has_program: spec.process().is_some(),
        cgroup_parent,
        cgroup_name,
        private_pids: NamespacePlan::of_bundle(spec)?.is_private(Namespaces::PID),
        hooks_after_start: some(hooks.and_then(|hooks| hooks.poststart().as_ref())),
        hooks_after_stop: some(hooks.and_then(|hooks| hooks.poststop().as_ref())),
    })
}

fn open_console(spec: &Spec, options: &CreateOptions) -> Result<Option<(OwnedFd, PathBuf)>, Error> {
    let wants = spec.process().as_ref().and_then(Process::terminal).unwrap_or(false);
    match (wants, &options.console_socket) {
        (true, Some(path)) => {
            let socket = console::connect_to(path, "connect to the console socket")?;
            Ok(Some((socket, path.clone())))
        }
        (true, None) => Err(Error::Config {
            member: "process.terminal",
            problem: "needs --console-socket".to_owned(),
        }),
        (false, Some(_)) => Err(Error::Config {
            member: "process.terminal",
            problem: "is not set, and --console-socket was given".to_owned(),
        }),
        (false, None) => Ok(None),
    }
}

/// The socket on which the first process waits. Its folder is for root alone.
fn listen_for_start(folder: &Path) -> Result<OwnedFd, Error> {
    let open = || -> Result<OwnedFd, rustix::io::Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, folder, flags, Mode::empty())?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &start_address(directory.as_fd())?)?;
        listen(&socket, 8)?;
        Ok(socket)
    };
    open().map_err(|errno| Error::file("listen in", folder)(errno.into()))
}

fn make_cgroup(record: &Record, spec: &Spec, making: &mut Making) -> Result<(Cgroup, Warnings), Error> {
    let parent = Parent::open(&Layout::detect()?, &record.cgroup_parent)?;
    let cgroup = parent.create_among_others(&record.cgroup_name)?;
    making.has_cgroup(cgroup.clone());
    let ignored = cgroup.set(&cgroups::resources(spec))?;
    let warnings = ignored.iter().map(|what| format!("{}: {}", what.field, what.reason));
    Ok((cgroup, warnings.collect()))
}

/// What a plan is made of.
struct Parts<'a> {
    proof: SingleThreaded,
    record: &'a Record,
    spec: &'a Spec,
    linux: &'a Linux,
    hooks: &'a Hooks,
    cgroup: &'a Cgroup,
}

impl Parts<'_> {
    /// Opens on the host's side everything that the container will consist of.
    fn plan(&self, listener: OwnedFd, options: &CreateOptions) -> Result<(ContainerPlan, Warnings), Error> {
        let Parts { spec, linux, .. } = self;
        let mut namespaces = NamespacePlan::of_bundle(spec)?;
        let user = match namespaces.take_user()? {
            Some(user) => Some(user),
            None if namespaces.new_user => {
                let map = |map: &Option<Vec<_>>| map.clone().unwrap_or_default();
                Some(user_namespace::make(
                    &map(linux.uid_mappings()),
                    &map(linux.gid_mappings()),
                )?)
            }
            None => None,
        };
        let (process, warnings) = self.process(listener, options)?;
        let root = Root::Directory {
            path: self.record.rootfs.clone(),
            read_only: spec
                .root()
                .as_ref()
                .and_then(oci_spec::runtime::Root::readonly)
                .unwrap_or(false),
        };
        let manner = Manner::Bundle {
            user_namespace: user.as_ref().map(|_| self.root_ids()),
        };
        let root = Plan::make(spec, &root, || open_root(&root), self.cgroup, manner)?;
        let plan = ContainerPlan {
            proof: self.proof,
            before_root: self.before_root(&namespaces),
            time_offsets: self.time_offsets(),
            namespaces,
            cgroup: self.cgroup.clone(),
            emulation: None,
            user,
            hostname: spec.hostname().clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname().clone().filter(|name| !name.is_empty()),
            sysctls: parse_bundle_sysctls(spec)?,
            oom_score_adj: spec.process().as_ref().and_then(Process::oom_score_adj),
            personality: personality(spec),
            root,
            process,
        };
        Ok((plan, warnings))
    }

    fn process(&self, listener: OwnedFd, options: &CreateOptions) -> Result<(ProcessPlan, Warnings), Error> {
        let mut nothing = Process::default();
        // Nothing that can be executed: `start` refuses.
        nothing.set_args(Some(vec!["/".to_owned()]));
        let process = self.spec.process().as_ref().unwrap_or(&nothing);
        let streams = match process.terminal() {
            Some(true) => Streams::Terminal(console::size(process)),
            _ => Streams::Inherited,
        };
        let (seccomp, seccomp_listener) = seccomp::filter(self.linux.seccomp().as_ref(), self.record, 0)?;
        let surroundings = Surroundings {
            streams,
            seccomp,
            seccomp_listener,
            treatment: treatment(process, self.linux.memory_policy().as_ref())?,
            orphan: Orphan::GoesOn,
            kept_descriptors: options.preserve_fds,
            gate: Gate::Caller {
                listener,
                hooks: self.hooks.start_container().clone().unwrap_or_default(),
            },
        };
        let (plan, warnings) = ProcessPlan::of_bundle(self.record.id.as_str(), process, surroundings)?;
        Ok((plan, warnings.iter().map(describe).collect()))
    }

    /// Only for hooks, or where the mount namespace is another's: it costs a little, and shows the root.
    fn before_root(&self, namespaces: &NamespacePlan) -> Option<BeforeRoot> {
        let some = |hooks: &Option<Vec<_>>| hooks.as_ref().is_some_and(|hooks| !hooks.is_empty());
        let prestart = some(self.hooks.prestart());
        let any = prestart || some(self.hooks.create_runtime()) || some(self.hooks.create_container());
        (any || namespaces.joins_mount()).then(|| BeforeRoot {
            root: self.record.rootfs.clone(),
            create_container: self.hooks.create_container().clone().unwrap_or_default(),
        })
    }

    /// Who the container's root is on the host.
    fn root_ids(&self) -> (u32, u32) {
        let root = |map: &Option<Vec<LinuxIdMapping>>| {
            let mut ranges = map.iter().flatten();
            ranges
                .find(|range| range.container_id() == 0)
                .map_or(0, LinuxIdMapping::host_id)
        };
        (root(self.linux.uid_mappings()), root(self.linux.gid_mappings()))
    }

    /// Source: time_namespaces(7).
    fn time_offsets(&self) -> Option<String> {
        let offsets = self.linux.time_offsets().as_ref()?;
        let lines = offsets.iter().map(|(clock, offset)| {
            let (seconds, nanoseconds) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
            format!("{clock} {seconds} {nanoseconds}\n")
        });
        Some(lines.collect())
    }
}

/// In words, for a log.
pub(super) fn describe(warning: &Warning) -> String {
    match warning {
        Warning::RlimitClamped { name, asked, given } => {
            format!("{name}: {asked} is more than this host lets us give; it is {given}")
        }
        Warning::LimitIgnored { what } => what.clone(),
    }
}
