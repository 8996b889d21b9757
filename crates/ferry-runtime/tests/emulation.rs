//! Foreign programs on the kernel that runs the tests.
//!
//! One test without a harness, since a process that makes a namespace must have one thread; it
//! starts itself for that. It needs emulators and programs, which a host rarely has: `FERRY_TEST_EMULATORS` is a folder
//! with static emulators, `FERRY_TEST_BUSYBOX` one with a static busybox for each CPU, unpacked
//! from Debian's `busybox-static` below the architecture's Debian name.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ferry_oci::cpu::{self, Cpu};

use ferry_runtime::emulation::{Emulators, Interpreter, Namespace, Support};

/// What the test process tells the process it starts.
const TASK: &str = "FERRY_TEST_EMULATION";

fn busybox(cpu: &Cpu) -> Option<PathBuf> {
    let root = PathBuf::from(std::env::var_os("FERRY_TEST_BUSYBOX")?);
    ["usr/bin/busybox", "bin/busybox", "busybox"]
        .map(|path| root.join(cpu.debian).join(path))
        .into_iter()
        .find(|path| path.exists())
}

fn emulators() -> Emulators {
    let directory = std::env::var_os("FERRY_TEST_EMULATORS").map(PathBuf::from);
    Emulators::discover(directory.as_slice())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |argument: &str| arguments.iter().any(|given| given == argument);
    match std::env::var(TASK) {
        Ok(task) => emulate(&task),
        Err(_) if asked("--list") && asked("--ignored") => {}
        Err(_) if asked("--list") => println!("every_cpu_runs_in_a_namespace_of_our_own: test"),
        Err(_) => {
            every_cpu_runs_in_a_namespace_of_our_own();
            // As the usual harness says it, so that `./test` counts this test too.
            println!("test result: ok. 1 passed; 0 failed; 0 ignored");
        }
    }
}

/// The process with one thread, which makes a namespace and runs programs in it.
fn emulate(task: &str) {
    let interpreters: Vec<Interpreter> = serde_json::from_str(task).unwrap();
    let namespace = match Namespace::create(&interpreters) {
        Err(error) => {
            println!("\nerror={error}");
            return;
        }
        Ok(namespace) => namespace,
    };
    // The same again changes nothing.
    namespace.register(&interpreters[0]).unwrap();
    namespace.enter().unwrap();
    for (cpu, path) in cpu::ALL.iter().filter_map(|cpu| Some((cpu, busybox(cpu)?))) {
        println!("\n{}={}", cpu.architecture, run(&path, &["uname", "-m"]));
        // argv[0] is kept, or the shell would not find itself; the emulator adds no descriptor.
        let script = "echo $0; ls /proc/self/fd | wc -l; id -u; exec 9>/dev/null; echo ok";
        println!("{}-sh={}", cpu.architecture, run(&path, &["sh", "-c", script, "name"]));
    }
    let foreign = interpreters[0].cpu;
    if let Some(path) = busybox(foreign) {
        println!("rewrite={}", rewrite_emulator(&path));
        let without = Namespace::from_parts(rustix::io::dup(namespace.user_namespace()).unwrap(), null());
        drop(namespace);
        println!("after={}", run(&path, &["true"]));
        drop(without);
    }
}

fn null() -> std::os::fd::OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

fn run(path: &Path, arguments: &[&str]) -> String {
    match Command::new(path).args(arguments).stderr(Stdio::inherit()).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().replace('\n', ","),
        Err(error) => format!("error {}", error.raw_os_error().unwrap_or_default()),
    }
}

/// What root inside gets who opens a running emulator for writing.
fn rewrite_emulator(path: &Path) -> String {
    let mut child = Command::new(path).args(["sleep", "60"]).spawn().unwrap();
    let exe = format!("/proc/{}/exe", child.id());
    let name = std::fs::read_link(&exe).unwrap().display().to_string();
    let written = OpenOptions::new().write(true).open(&exe).and_then(|mut file| {
        use std::io::Write;
        file.write_all(b"x")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    format!(
        "{} {}",
        name.split('-').next().unwrap_or_default(),
        if written.is_ok() { "changed" } else { "refused" }
    )
}

fn every_cpu_runs_in_a_namespace_of_our_own() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let emulators = emulators();
    let interpreters = emulators.interpreters();
    if !interpreters
        .iter()
        .any(|interpreter| busybox(interpreter.cpu).is_some())
    {
        eprintln!("skipped: needs emulators in FERRY_TEST_EMULATORS and programs in FERRY_TEST_BUSYBOX");
        return;
    }
    let before = host_entries();
    let output = Command::new(std::env::current_exe().unwrap())
        .env(TASK, serde_json::to_string(&interpreters).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let told: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    if let Some(error) = told.get("error") {
        eprintln!("skipped: needs emulators per user namespace: {error}");
        return;
    }
    let own_shell = format!("{}-sh", Cpu::host().architecture);
    for entry in emulators.iter().filter(|entry| busybox(entry.cpu).is_some()) {
        let name = entry.cpu.architecture;
        match entry.support {
            Support::Emulated(_) => {
                assert_eq!(told.get(name), Some(&entry.cpu.uname), "{text}{errors}")
            }
            // The kernel's own name shows, unless a program asks for another (personality(2)).
            Support::Native => assert!(told.contains_key(name), "{text}{errors}"),
            _ => continue,
        }
        // As on the host's own CPU, whose descriptors came from whoever ran the test.
        let shell = format!("{name}-sh");
        let (told, own) = (told.get(shell.as_str()), told.get(own_shell.as_str()));
        if own.is_some() {
            assert_eq!(told, own, "{text}{errors}");
        }
        assert!(
            told.is_some_and(|told| told.starts_with("name,") && told.ends_with(",0,ok")),
            "{text}{errors}"
        );
    }
    assert_eq!(told.get("rewrite"), Some(&"/memfd:qemu refused"), "{text}{errors}");
    assert_eq!(told.get("after"), Some(&"error 8"), "{text}{errors}");
    assert_eq!(host_entries(), before);
}

/// What the host itself has registered.
fn host_entries() -> Vec<String> {
    let Ok(files) = std::fs::read_dir("/proc/sys/fs/binfmt_misc") else {
        return Vec::new();
    };
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}
