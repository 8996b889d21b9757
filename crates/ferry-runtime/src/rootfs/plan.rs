//! Everything that a root will consist of, opened on the host's side.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use ferry_sys::{
    mount::{Attributes, Propagation, READ_ONLY, Reach, map_ids, set_attributes},
    process::Namespaces,
};
use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec};
use rustix::{
    fs::{CWD, FileType, fstat},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, open_tree,
    },
};

use super::{
    cgroup_tree::{self, CgroupTree},
    device::{self, Node},
    enter::enter,
    options::{Options, root_propagation},
    path::Shape,
    root::{self, Access},
};
use crate::{
    Fault, Root,
    cgroup::{Cgroup, Version},
    container::{NamespacePlan, user_namespace},
    profile,
};

/// A root and everything in it, as far as it comes from the host.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) root: OwnedFd,
    pub(super) access: Access,
    pub(super) propagation: Option<(Propagation, Reach)>,
    pub(super) mounts: Vec<Planned>,
    /// Nodes elsewhere than in a /dev of the container's own.
    pub(super) nodes: Vec<Node>,
    pub(super) masked: Vec<PathBuf>,
    pub(super) read_only: Vec<PathBuf>,
    /// Mounts that are read-only once everything is in them.
    pub(super) read_only_mounts: Vec<PathBuf>,
    /// Links in a /dev that is a part of the root.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// What of /proc may be covered.
    pub(super) over_proc: &'static [&'static str],
}

/// Whose container it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One of the engine's, whose specs are its own.
    Engine,
    /// One of a bundle, whose spec may say anything; with a user namespace, what belongs to it is mounted inside.
    Bundle {
        /// Who root is outside of its user namespace, if it has one.
        user_namespace: Option<(u32, u32)>,
    },
}

impl Manner {
    /// Who the root of its user namespace is outside of it.
    fn root_ids(self) -> Option<(u32, u32)> {
        match self {
            Manner::Engine => None,
            Manner::Bundle { user_namespace } => user_namespace,
        }
    }
}

/// What a bundle's mounts may cover of /proc, as runc allows it for file systems that show a container its limits.
const OVER_PROC: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// One mount.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) destination: PathBuf,
    pub(super) source: Source,
}

/// What will be mounted.
#[derive(Debug)]
pub(super) enum Source {
    /// It is mounted already, without a place.
    Detached { mount: OwnedFd, shape: Shape, of: Of },
    /// A file system that belongs to the container's namespaces.
    Fresh {
        kind: String,
        name: String,
        options: Options,
    },
    /// The version 1 hierarchies.
    Cgroups(CgroupTree),
}

/// What a detached mount is of, where that decides whether it may be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Proc,
    /// A file system that begins with what it will cover.
    CopyOfTarget,
    Other,
}

impl Plan {
    /// Opens all that comes from the host besides the root: bind mounts, temporary file systems, /dev, cgroups.
    /// The root itself comes from `mounted`, as late as possible.
    pub(crate) fn make(
        spec: &Spec,
        root: &Root,
        mounted: impl FnOnce() -> Result<OwnedFd, Fault>,
        cgroup: &Cgroup,
        manner: Manner,
    ) -> Result<Plan, Fault> {
        let linux = spec.linux().as_ref();
        let strings =
            |list: Option<&Vec<String>>| -> Vec<PathBuf> { list.into_iter().flatten().map(PathBuf::from).collect() };
        let masked = strings(linux.and_then(|linux| linux.masked_paths().as_ref()));
        let mut nodes: Vec<Node> = linux
            .and_then(|linux| linux.devices().as_ref())
            .into_iter()
            .flatten()
            .filter_map(Node::of)
            .collect();
        let mut mounts = Vec::new();
        let mut read_only_mounts = Vec::new();
        let mut dev = match manner {
            Manner::Engine => Dev::Filled,
            Manner::Bundle { .. } => Dev::OfTheRoot,
        };
        for mount in spec.mounts().iter().flatten() {
            let mut options = Options::parse(mount.options().iter().flatten().map(String::as_str));
            let is_dev = mount.destination() == Path::new("/dev");
            if is_dev && options.bind.is_some() {
                dev = Dev::Filled;
            }
            if is_dev && is_temporary(mount) && options.own.set & READ_ONLY != 0 {
                options.own.set &= !READ_ONLY;
                read_only_mounts.push(mount.destination().clone());
            }
            if let (true, Some((uid, gid))) = (is_dev && is_temporary(mount), manner.root_ids()) {
                options.data.push(("uid".to_owned(), Some(uid.to_string())));
                options.data.push(("gid".to_owned(), Some(gid.to_string())));
            }
            if let Some(label) = linux.and_then(|linux| linux.mount_label().clone())
                && manner != Manner::Engine
                && takes_label(mount, &options)
                && !label.is_empty()
            {
                options.data.push(("context".to_owned(), Some(label)));
            }
            let planned = Planned::make(mount, options, cgroup, manner)?;
            if let Source::Detached {
                mount: dev_mount,
                of: Of::Other,
                ..
            } = &planned.source
                && planned.destination == Path::new("/dev")
                && is_temporary(mount)
            {
                let (inside, elsewhere): (Vec<Node>, Vec<Node>) =
                    nodes.into_iter().partition(|node| node.path.starts_with("/dev"));
                device::fill(dev_mount.as_fd(), &inside)?;
                nodes = elsewhere;
                dev = Dev::Filled;
            }
            mounts.push(planned);
        }
        if dev == Dev::OfTheRoot {
            nodes.splice(0..0, device::defaults());
        }
        let propagation = linux
            .and_then(|linux| linux.rootfs_propagation().as_deref())
            .filter(|word| !word.is_empty())
            .map(|word| {
                root_propagation(word).ok_or_else(|| Fault::Spec {
                    member: "linux.rootfsPropagation".to_owned(),
                    problem: format!("{word:?} is no propagation"),
                })
            })
            .transpose()?;
        Ok(Plan {
            root: mounted()?,
            access: root::access(root),
            propagation,
            mounts,
            nodes,
            masked,
            read_only: strings(linux.and_then(|linux| linux.readonly_paths().as_ref())),
            read_only_mounts,
            links: match dev {
                Dev::OfTheRoot => profile::LINKS,
                Dev::Filled => &[],
            },
            over_proc: match manner {
                Manner::Engine => &[],
                Manner::Bundle { .. } => OVER_PROC,
            },
        })
    }

    /// Puts what is mounted already in the place of what was to be mounted at `destination`.
    pub(crate) fn put(&mut self, destination: &Path, mount: OwnedFd) {
        let planned = self
            .mounts
            .iter_mut()
            .find(|planned| planned.destination == destination);
        if let Some(planned) = planned {
            planned.source = Source::Detached {
                mount,
                shape: Shape::Folder,
                of: Of::Other,
            };
        }
    }

    /// Mounts the file systems of those of the caller's namespaces that the container will not get
    /// anew. A user namespace may only mount those of namespaces that belong to it, so that this is
    /// done before one is entered.
    pub(crate) fn mount_shared(&mut self, namespaces: &NamespacePlan) -> Result<(), Fault> {
        for planned in &mut self.mounts {
            let is_shared = match &planned.source {
                Source::Fresh { kind, .. } => match kind.as_str() {
                    // Of a pid namespace that is joined only children are.
                    "proc" => !namespaces.is_separate(LinuxNamespaceType::Pid),
                    "sysfs" => !namespaces.is_private(Namespaces::NETWORK),
                    "mqueue" => !namespaces.is_private(Namespaces::IPC),
                    _ => false,
                },
                _ => false,
            };
            if is_shared {
                planned.mount_fresh()?;
            }
        }
        Ok(())
    }

    /// Mounts the file systems of the caller's namespaces; still in the host's tree, whose own /proc
    /// and /sys the kernel wants to see before it gives a user namespace new ones.
    pub(crate) fn mount_fresh(&mut self) -> Result<(), Fault> {
        for planned in &mut self.mounts {
            planned.mount_fresh()?;
        }
        Ok(())
    }

    /// Enters the root and leaves the host's tree.
    pub(crate) fn enter(&self) -> Result<(), Fault> {
        enter(self.root.as_fd())
    }
}

impl Planned {
    fn make(mount: &Mount, options: Options, cgroup: &Cgroup, manner: Manner) -> Result<Planned, Fault> {
        let destination = mount.destination().clone();
        let kind = mount.typ().as_deref().unwrap_or_default();
        let name = mount.source().clone().unwrap_or_else(|| PathBuf::from(kind));
        let source = match kind {
            _ if options.bind.is_some() || kind == "bind" => bind(mount, &name, &destination, &options)?,
            "cgroup" | "cgroup2" if cgroup.parent().layout().version() == Version::V1 => {
                Source::Cgroups(cgroup_tree::open(cgroup, &destination, &options)?)
            }
            "cgroup" | "cgroup2" => fresh("cgroup2", &name, options),
            "proc" | "sysfs" | "mqueue" | "devpts" => fresh(kind, &name, options),
            // Of the container's user namespace, so that its root owns it; nodes can only be made outside.
            "tmpfs" if manner.root_ids().is_some() && destination != Path::new("/dev") => fresh(kind, &name, options),
            _ => {
                let mount = mount_now(kind, &name.to_string_lossy(), &options, &destination)?;
                Source::Detached {
                    mount,
                    shape: Shape::Folder,
                    of: Of::new(kind, &options),
                }
            }
        };
        Ok(Planned { destination, source })
    }

    fn mount_fresh(&mut self) -> Result<(), Fault> {
        let Source::Fresh { kind, name, options } = &self.source else {
            return Ok(());
        };
        let of = Of::new(kind, options);
        let mount = mount_now(kind, name, options, &self.destination)?;
        self.source = Source::Detached {
            mount,
            shape: Shape::Folder,
            of,
        };
        Ok(())
    }
}

impl Of {
    fn new(kind: &str, options: &Options) -> Of {
        match kind {
            "proc" => Of::Proc,
            "tmpfs" if options.copy_up => Of::CopyOfTarget,
            _ => Of::Other,
        }
    }
}

/// Where the nodes of every container are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dev {
    /// In a file system of their own, or they are whoever mounts there's.
    Filled,
    /// In the root itself.
    OfTheRoot,
}

/// Whether a mount is of a file system that SELinux labels as a whole, as runc has it.
fn takes_label(mount: &Mount, options: &Options) -> bool {
    let has_own = matches!(
        mount.typ().as_deref(),
        Some("proc" | "sysfs" | "cgroup" | "cgroup2" | "mqueue" | "bind")
    );
    options.bind.is_none() && !has_own
}

fn is_temporary(mount: &Mount) -> bool {
    mount.typ().as_deref() == Some("tmpfs")
}

fn fresh(kind: &str, name: &Path, options: Options) -> Source {
    Source::Fresh {
        kind: kind.to_owned(),
        name: name.to_string_lossy().into_owned(),
        options,
    }
}

/// A part of the host's tree, which follows changes on the host only if asked to.
pub(super) fn bind(mount: &Mount, source: &Path, destination: &Path, options: &Options) -> Result<Source, Fault> {
    let reach = options.bind.unwrap_or(Reach::Mount);
    let tree = clone(source, reach).map_err(|errno| Fault::MountSource {
        source_path: source.to_owned(),
        destination: destination.to_owned(),
        errno: errno.into(),
    })?;
    let fault = |step: &str, errno: crate::Errno| Fault::Mount {
        destination: destination.to_owned(),
        step: step.to_owned(),
        errno,
    };
    let maps = (mount.uid_mappings(), mount.gid_mappings());
    if let (Some(uids), Some(gids)) = maps {
        let namespace = user_namespace::make(uids, gids)?;
        let reach = options.id_map.unwrap_or(Reach::Mount);
        map_ids(tree.as_fd(), namespace.as_fd(), reach).map_err(|error| fault("map ids", error.into()))?;
    } else if options.id_map.is_some() {
        return Err(Fault::Spec {
            member: format!("mounts: {}", destination.display()),
            problem: "idmap needs uidMappings and gidMappings".to_owned(),
        });
    }
    let (propagation, travel) = options.propagation.unwrap_or((Propagation::Private, Reach::Tree));
    let changes = [
        (
            "propagation",
            Attributes {
                propagation: Some(propagation),
                ..Attributes::default()
            },
            travel,
        ),
        ("options", options.own, Reach::Mount),
        ("recursive options", options.tree, Reach::Tree),
    ];
    for (step, attributes, reach) in changes {
        if attributes != Attributes::default() {
            set_attributes(tree.as_fd(), attributes, reach).map_err(|error| fault(step, error.into()))?;
        }
    }
    let stat = fstat(&tree).map_err(|errno| fault("look at the source", errno.into()))?;
    let is_folder = FileType::from_raw_mode(stat.st_mode).is_dir();
    let shape = if is_folder { Shape::Folder } else { Shape::File };
    Ok(Source::Detached {
        mount: tree,
        shape,
        of: Of::Other,
    })
}

/// A detached copy of a mount, from a path on the host.
pub(super) fn clone(path: &Path, reach: Reach) -> Result<OwnedFd, Errno> {
    let recursive = match reach {
        Reach::Mount => OpenTreeFlags::empty(),
        Reach::Tree => OpenTreeFlags::AT_RECURSIVE,
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | recursive;
    open_tree(CWD, path, flags)
}

/// A new file system without a place.
pub(super) fn mount_now(kind: &str, name: &str, options: &Options, destination: &Path) -> Result<OwnedFd, Fault> {
    let fault = |step: String| {
        move |errno: Errno| Fault::Mount {
            destination: destination.to_owned(),
            step,
            errno: errno.into(),
        }
    };
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(fault(format!("fsopen {kind}")))?;
    fsconfig_set_string(context.as_fd(), "source", name).map_err(fault("source".to_owned()))?;
    for (key, value) in &options.data {
        match value {
            Some(value) => fsconfig_set_string(context.as_fd(), key.as_str(), value.as_str())
                .map_err(fault(format!("option {key}={value}")))?,
            None => fsconfig_set_flag(context.as_fd(), key.as_str()).map_err(fault(format!("option {key}")))?,
        }
    }
    fsconfig_create(context.as_fd()).map_err(fault(format!("create {kind}")))?;
    // The bits of MOUNT_ATTR_* all fit; what is not set is clear.
    let bits = u32::try_from(options.own.set | options.tree.set).unwrap_or(0);
    let attributes = MountAttrFlags::from_bits_retain(bits);
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(fault(format!("fsmount {kind}")))?;
    if let Some((propagation, reach)) = options.propagation {
        let attributes = Attributes {
            propagation: Some(propagation),
            ..Attributes::default()
        };
        set_attributes(mount.as_fd(), attributes, reach).map_err(|error| Fault::Mount {
            destination: destination.to_owned(),
            step: "propagation".to_owned(),
            errno: error.into(),
        })?;
    }
    Ok(mount)
}
