//! A `ferry daemon` with folders of its own, watched for what it leaves behind.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ferry_oci::Digest;
use rustix::process::{Pid, Signal, kill_process};

use crate::host::Host;
use crate::image;
use crate::patience::eventually;
use crate::process::Process;
use crate::shell::{Finished, Running, Shell};
use crate::traces::Places;

/// Which emulators an engine finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Emulators {
    /// One for each CPU, from Debian's packages.
    #[default]
    All,
    /// None, whatever the machine has.
    None,
}

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Tells its folders from another engine's on the same host.
    pub name: &'static str,
    /// Which emulators it finds.
    pub emulators: Emulators,
    /// Variables of the engine's process.
    pub environment: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            name: "one",
            emulators: Emulators::All,
            environment: Vec::new(),
        }
    }
}

/// An engine. When it goes out of scope, its containers are removed, it is stopped, and traces of it fail the test.
#[derive(Debug)]
pub struct Engine {
    host: Rc<Host>,
    setup: Setup,
    shell: Shell,
    places: Places,
    log: PathBuf,
    daemon: RefCell<Option<Child>>,
}

impl Engine {
    /// An engine on a host of its own; `None`, said aloud, where there cannot be one.
    pub fn start() -> Option<Self> {
        Some(Self::on(&Host::new()?))
    }

    /// An engine on a host of its own that has the image `busybox` for the host's CPU.
    pub fn with_busybox() -> Option<Self> {
        let engine = Self::start()?;
        engine.make_busybox()?;
        Some(engine)
    }

    /// An engine on `host`.
    pub fn on(host: &Rc<Host>) -> Self {
        Self::set_up(host, Setup::default())
    }

    /// An engine on `host` that is set up otherwise.
    pub fn set_up(host: &Rc<Host>, setup: Setup) -> Self {
        let engine = Self::not_started(host, setup);
        engine.restart();
        engine
    }

    /// An engine that the first command has to start.
    pub fn not_started(host: &Rc<Host>, setup: Setup) -> Self {
        let folder = host.path(setup.name);
        let data_root = folder.join("data");
        let exec_root = folder.join("run");
        fs::create_dir_all(&folder).expect("a folder for the engine");
        let name = format!(
            "ferry-{}",
            &Digest::of(exec_root.as_os_str().as_encoded_bytes()).hex()[..8]
        );
        let log = folder.join("daemon.log");
        let mut shell = host
            .shell()
            .quoting(vec![log.clone(), exec_root.join("engine.log")])
            .with("FERRY_DATA_ROOT", &data_root)
            .with("FERRY_EXEC_ROOT", &exec_root);
        if setup.emulators == Emulators::All
            && let Some(folder) = image::emulators()
        {
            shell = shell.with("FERRY_EMULATOR_DIRS", folder);
        }
        for (name, value) in &setup.environment {
            shell = shell.with(name, value);
        }
        let places = Places {
            data_root,
            exec_root,
            name,
        };
        Self {
            host: Rc::clone(host),
            setup,
            shell,
            places,
            log,
            daemon: RefCell::new(None),
        }
    }

    /// The host it runs on.
    pub fn host(&self) -> &Rc<Host> {
        &self.host
    }

    /// A shell whose `ferry` talks to this engine.
    pub fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Runs a command line whose `ferry` talks to this engine, in the host's folder.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Finished {
        self.shell.sh(line)
    }

    /// Starts a simple command and leaves it running.
    #[track_caller]
    pub fn background(&self, line: &str) -> Running {
        self.shell.start(line)
    }

    /// Writes a file in the host's folder, for a build context.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        self.host.file(name, contents)
    }

    /// Builds the image `busybox` for the host's CPU; `None`, said aloud, without its parts.
    #[track_caller]
    pub fn make_busybox(&self) -> Option<()> {
        self.make_busybox_for(&[image::host_platform()])
    }

    /// Builds the image `busybox` for several CPUs; `None`, said aloud, without its parts.
    #[track_caller]
    pub fn make_busybox_for(&self, platforms: &[image::Platform]) -> Option<()> {
        let context = image::busybox_context()?;
        let names: Vec<&str> = platforms.iter().map(|platform| platform.name).collect();
        self.sh(&format!(
            "ferry build -q --platform {} -t busybox {}",
            names.join(","),
            context.display()
        ))
        .succeeds();
        Some(())
    }

    /// The root file system that `busybox` is made of, for one CPU, as a tar.
    pub fn busybox_tar(&self, architecture: &str) -> Option<PathBuf> {
        image::busybox_context().map(|context| context.join(format!("root-{architecture}.tar")))
    }

    /// The digest of an image's target: index or manifest.
    #[track_caller]
    pub fn digest(&self, image: &str) -> String {
        let digest = self
            .sh(&format!("ferry image inspect -f '{{{{.Id}}}}' {image}"))
            .succeeds()
            .text();
        assert!(
            digest.parse::<Digest>().is_ok(),
            "{image} has the id {digest:?}, which is no digest"
        );
        digest
    }

    /// Images and records.
    pub fn data_root(&self) -> &Path {
        &self.places.data_root
    }

    /// Sockets and state.
    pub fn exec_root(&self) -> &Path {
        &self.places.exec_root
    }

    /// Name of its control groups, bridge and table.
    pub fn name(&self) -> &str {
        &self.places.name
    }

    /// The engine's own process.
    #[track_caller]
    pub fn process(&self) -> Process {
        let text = fs::read_to_string(self.places.exec_root.join("ferry.pid")).expect("the engine writes its pid");
        let pid = text.trim().parse().expect("a pid is a number");
        Process::of(pid).expect("the engine runs")
    }

    /// Its zygote.
    #[track_caller]
    pub fn zygote(&self) -> Process {
        let engine = self.process().pid.as_raw_nonzero().get();
        eventually("the engine has a zygote", || {
            let mut all = self.places.processes().into_iter();
            all.find(|process| process.parent == engine && process.command_line.contains("zygote"))
        })
    }

    /// The process that a container's init has in the host's pid namespace.
    #[track_caller]
    pub fn init_of(&self, container: &str) -> Process {
        let pid = self
            .sh(&format!("ferry inspect -f '{{{{.State.Pid}}}}' {container}"))
            .succeeds()
            .text();
        Process::of(pid.parse().expect("a pid is a number")).expect("the container runs")
    }

    /// The monitor of a running container.
    #[track_caller]
    pub fn monitor_of(&self, container: &str) -> Process {
        Process::of(self.init_of(container).parent).expect("a container has a monitor")
    }

    /// All processes of the engine: itself, zygote, monitors, containers.
    pub fn processes(&self) -> Vec<Process> {
        self.places.processes()
    }

    /// What the engine wrote to its log.
    pub fn log(&self) -> String {
        let logs = [&self.log, &self.places.exec_root.join("engine.log")];
        logs.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
    }

    /// Kills the engine, and only it, with SIGKILL.
    #[track_caller]
    pub fn kill(&self) {
        self.process().kill();
        self.reap();
    }

    /// Starts it, again or for the first time, and waits until it answers.
    #[track_caller]
    pub fn restart(&self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log for the engine");
        let mut command = match self.setup.emulators {
            Emulators::All => self.shell.command(self.host.path("bin/ferry")),
            Emulators::None => {
                let mut command = self.shell.command("unshare");
                command
                    .args(["--mount", "sh", "-c", HIDE_EMULATORS, "sh"])
                    .arg(self.host.path("bin/ferry"));
                command
            }
        };
        let child = command
            .args(["daemon", "--data-root"])
            .arg(&self.places.data_root)
            .arg("--exec-root")
            .arg(&self.places.exec_root)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second descriptor"))
            .stderr(log)
            .spawn()
            .expect("the binary can be run");
        self.daemon.replace(Some(child));
        let socket = self.places.exec_root.join("ferry.sock");
        eventually("the engine answers", || {
            let ended = self
                .daemon
                .borrow_mut()
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the engine ended with {ended:?}:\n{}", self.log());
            UnixStream::connect(&socket).ok()
        });
    }

    /// Has the next command start it, as people do after a crash; a command that was cut short may have done so already.
    #[track_caller]
    pub fn comes_back(&self) {
        self.sh("ferry version").succeeds();
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub fn stop(&self) {
        let pid_file = self.places.exec_root.join("ferry.pid");
        let pid = fs::read_to_string(pid_file)
            .ok()
            .and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
            let begin = Instant::now();
            while Process::of(pid.as_raw_nonzero().get()).is_some() {
                self.daemon.borrow_mut().as_mut().map(Child::try_wait);
                if begin.elapsed() > Duration::from_secs(20) {
                    self.places.remove();
                    self.reap();
                    panic!("the engine did not end within 20 s of SIGTERM:\n{}", self.log());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.reap();
    }

    /// Removes its containers and stops it; then nothing of it may be left.
    #[track_caller]
    fn end(&self) {
        if self.process_if_any().is_some() {
            let ids = self.sh("ferry ps -aq").succeeds().text().replace('\n', " ");
            if !ids.is_empty() {
                self.sh(&format!("ferry rm -f {ids}")).succeeds();
            }
        }
        self.stop();
        let begin = Instant::now();
        loop {
            let left = self.places.left();
            if left.is_empty() {
                return;
            }
            if begin.elapsed() > Duration::from_secs(10) {
                self.places.remove();
                panic!(
                    "left by the engine:\n  {}\n--- engine\n{}",
                    left.join("\n  "),
                    self.log()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn process_if_any(&self) -> Option<Process> {
        let text = fs::read_to_string(self.places.exec_root.join("ferry.pid")).ok()?;
        Process::of(text.trim().parse().ok()?)
    }

    /// Waits for a daemon that this test started and that has ended.
    fn reap(&self) {
        if let Some(mut child) = self.daemon.borrow_mut().take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.places.remove();
            self.reap();
        } else {
            self.end();
        }
    }
}

/// Runs its arguments where no emulator of the machine can be seen.
const HIDE_EMULATORS: &str = r#"
mount --make-rprivate /
if [ -d /usr/libexec/ferry ]; then mount -t tmpfs none /usr/libexec/ferry; fi
for emulator in /usr/bin/qemu-*; do
	if [ -f "$emulator" ]; then mount --bind /etc/hostname "$emulator"; fi
done
exec "$@"
"#;
