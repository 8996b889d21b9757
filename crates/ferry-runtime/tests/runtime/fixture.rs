//! A root made of busybox, a zygote, and containers that are launched and waited for.

use std::{
    fs,
    io::Read,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use ferry_runtime::{
    AttachOptions, Durability, Error, Exec, Exit, FirstProcess, Launch, Log, Monitor, Overlay, Root, Stdin, Stdio,
    WindowSize, Zygote, ZygoteOptions, capability::CapabilitySet, cgroup, profile, seccomp,
};
use tempfile::TempDir;

/// What all tests share.
pub(crate) struct Fixture {
    pub(crate) zygote: Zygote,
    pub(crate) cgroups: cgroup::Parent,
    seccomp: seccomp::Program,
    folder: TempDir,
    next: AtomicU32,
}

/// A container to be, with folders of its own.
pub(crate) struct Plan {
    pub(crate) launch: Launch,
    pub(crate) input: profile::ProfileInput,
    pub(crate) folder: PathBuf,
}

/// The host's own, which also says which applets there are.
const BUSYBOX: &str = "/bin/busybox";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:App:/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\nwheel:x:10:app\napp:x:1000:\n";

impl Fixture {
    /// What is missing is the error.
    pub(crate) fn new() -> Result<Fixture, &'static str> {
        if !rustix::process::geteuid().is_root() {
            return Err("root");
        }
        let busybox = Path::new(BUSYBOX);
        if !busybox.exists() {
            return Err("/bin/busybox (Debian: busybox-static)");
        }
        let folder = tempfile::tempdir().unwrap();
        let name = format!("ferry-test-{}", std::process::id());
        let parent = cgroup::ParentPath::parse(&name).unwrap();
        let zygote = Zygote::spawn(ZygoteOptions::new(parent.clone())).unwrap();
        let cgroups = cgroup::Parent::open(&cgroup::Layout::detect().unwrap(), &parent).unwrap();
        make_root(&folder.path().join("lower"), busybox);
        let profile = seccomp::default_profile(CapabilitySet::DEFAULT);
        let seccomp = seccomp::compile(&profile).unwrap();
        Ok(Fixture {
            zygote,
            cgroups,
            seccomp,
            folder,
            next: AtomicU32::new(0),
        })
    }

    pub(crate) fn lower(&self) -> PathBuf {
        self.folder.path().join("lower")
    }

    /// A container that runs a shell script.
    pub(crate) fn shell(&self, script: &str) -> Plan {
        self.plan(&["/bin/sh", "-c", script])
    }

    /// A container with the default profile.
    pub(crate) fn plan(&self, args: &[&str]) -> Plan {
        let id = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.path().join(&id);
        for name in ["state", "upper", "work"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let version = match self.cgroups.layout().version() {
            cgroup::Version::V1 => profile::CgroupVersion::V1,
            cgroup::Version::V2 => profile::CgroupVersion::V2,
        };
        let input = profile::ProfileInput {
            hostname: Some(id.clone()),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: vec![format!("PATH={}", profile::DEFAULT_PATH)],
            cgroups: version,
            ..profile::ProfileInput::default()
        };
        let launch = Launch {
            cgroup: cgroup::ChildName::parse(&id).unwrap(),
            id,
            spec: profile::default_spec(&input),
            seccomp: Some(self.seccomp.clone()),
            root: Root::Overlay(Overlay {
                lower: vec![self.lower()],
                upper: folder.join("upper"),
                work: folder.join("work"),
                volatile: true,
                read_only: false,
            }),
            user: String::new(),
            groups: Vec::new(),
            first_process: FirstProcess::Program,
            stdio: Stdio {
                tty: None,
                stdin: Stdin::Closed,
                log: Log::JsonFile {
                    path: folder.join("log"),
                    max_size_bytes: None,
                    max_files: 1,
                },
            },
            state_dir: folder.join("state"),
            exit_record: folder.join("exit.json"),
            durability: Durability::Volatile,
            emulate: None,
        };
        Plan { launch, input, folder }
    }

    /// Ends what a test that failed has left.
    pub(crate) fn clear(&self) {
        for name in self.cgroups.children().unwrap_or_default() {
            let cgroup = self.cgroups.child(&name);
            let _ = cgroup.kill_all().and_then(|_| cgroup.remove());
        }
    }

    /// Fails if a test left a cgroup.
    pub(crate) fn assert_nothing_left(&self) {
        for _ in 0..200 {
            if self.cgroups.children().unwrap().is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("cgroups are left: {:?}", self.cgroups.children().unwrap());
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.clear();
        let _ = self.cgroups.remove();
    }
}

impl Plan {
    /// Changes what the profile is made for.
    pub(crate) fn with_input(mut self, change: impl FnOnce(&mut profile::ProfileInput)) -> Plan {
        change(&mut self.input);
        self.launch.spec = profile::default_spec(&self.input);
        self
    }

    /// Changes the launch.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Launch)) -> Plan {
        change(&mut self.launch);
        self
    }

    pub(crate) fn with_tty(self) -> Plan {
        self.with_input(|input| input.terminal = profile::Terminal::Present)
            .with(|launch| {
                launch.stdio.tty = Some(WindowSize { rows: 24, columns: 80 });
                launch.stdio.stdin = Stdin::Open;
            })
    }

    pub(crate) fn launch(&self, fixture: &Fixture) -> Result<Monitor, Error> {
        fixture.zygote.launch(&self.launch)
    }

    /// Launches and starts.
    pub(crate) fn start(&self, fixture: &Fixture) -> Monitor {
        let monitor = self.launch(fixture).unwrap();
        monitor.start().unwrap();
        monitor
    }

    /// Launches, starts and waits.
    pub(crate) fn run(&self, fixture: &Fixture) -> Exit {
        let monitor = self.launch(fixture).unwrap();
        let watch = monitor.watch().unwrap();
        monitor.start().unwrap();
        wait(watch)
    }

    /// Runs, and gives what it wrote to both streams, with its exit code.
    pub(crate) fn output(&self, fixture: &Fixture) -> (u8, String) {
        let exit = self.run(fixture);
        (exit.code, self.logged())
    }

    /// What is in the log.
    pub(crate) fn logged(&self) -> String {
        self.log_lines().into_iter().map(|(_, text)| text).collect()
    }

    /// The lines of the log: stream and text.
    pub(crate) fn log_lines(&self) -> Vec<(String, String)> {
        read_log(&self.folder.join("log"))
    }

    /// An exec in this container.
    pub(crate) fn exec(&self, name: &str, args: &[&str]) -> Exec {
        let folder = self.folder.join(name);
        fs::create_dir_all(folder.join("state")).unwrap();
        let mut process = self.launch.spec.process().clone().unwrap();
        process.set_args(Some(args.iter().map(|arg| (*arg).to_owned()).collect()));
        Exec {
            id: format!("{}-{name}", self.launch.id),
            container: self.launch.state_dir.clone(),
            process,
            seccomp: self.launch.seccomp.clone(),
            user: self.launch.user.clone(),
            groups: Vec::new(),
            stdio: Stdio {
                tty: None,
                stdin: Stdin::Closed,
                log: Log::JsonFile {
                    path: folder.join("log"),
                    max_size_bytes: None,
                    max_files: 1,
                },
            },
            state_dir: folder.join("state"),
            exit_record: folder.join("exit.json"),
            durability: Durability::Volatile,
        }
    }
}

/// Everything, both ways.
pub(crate) const ALL: AttachOptions = AttachOptions {
    stdin: true,
    stdout: true,
    stderr: true,
};

/// Waits for an exit record on a watch stream.
pub(crate) fn wait(mut watch: impl Read) -> Exit {
    let mut text = String::new();
    watch.read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// Reads until something appears in what was read.
pub(crate) fn read_until(stream: &mut impl Read, wanted: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while !String::from_utf8_lossy(&text).contains(wanted) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the stream ended at {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A container's monitor, by its first process.
pub(crate) fn parent_of(process: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}

pub(crate) fn read_log(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| value[name].as_str().unwrap().to_owned();
            (field("stream"), field("log"))
        })
        .collect()
}

pub(crate) fn make_root(root: &Path, busybox: &Path) {
    for name in ["bin", "etc", "root", "tmp", "home/app", "usr/bin", "var"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    let list = Command::new(BUSYBOX).arg("--list").output().unwrap().stdout;
    for applet in String::from_utf8(list)
        .unwrap()
        .lines()
        .filter(|name| *name != "busybox")
    {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), PASSWD).unwrap();
    fs::write(root.join("etc/group"), GROUP).unwrap();
}
