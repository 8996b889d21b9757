//! Groups on the kernel that runs the tests: version 1, version 2 or a hybrid.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use oci_spec::runtime::LinuxResources;
use rustix::process::Pid;

use super::*;

/// A group of its own, removed with its parent at the end.
struct Fixture {
    group: Cgroup,
    children: Vec<Child>,
}

impl Fixture {
    /// On the version that containers would use; `None`, aloud, where groups cannot be made.
    fn new(test: &str) -> Option<Fixture> {
        Fixture::on(Layout::detect(), test)
    }

    /// On version 2, also where it stands beside version 1 and has few controllers.
    fn unified(test: &str) -> Option<Fixture> {
        Fixture::on(Layout::detect_unified(), test)
    }

    fn on(layout: Result<Layout, Error>, test: &str) -> Option<Fixture> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let layout = match layout {
            Ok(layout) => layout,
            Err(error) => {
                eprintln!("skipped: needs cgroups: {error}");
                return None;
            }
        };
        let path = ParentPath::parse(&format!("ferry-test-{}-{test}", std::process::id())).unwrap();
        let parent = Parent::open(&layout, &path).unwrap();
        let group = parent.create(&ChildName::parse("c1").unwrap()).unwrap();
        Some(Fixture {
            group,
            children: Vec::new(),
        })
    }

    /// Starts a shell script inside the group.
    fn spawn(&mut self, script: &str) -> Pid {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        self.group.add(pid).unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        child.stdin = Some(stdin);
        self.children.push(child);
        pid
    }

    fn set(&self, json: &str) -> Result<Vec<Ignored>, Error> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        self.group.set(&resources)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.group.kill_all();
        for child in &mut self.children {
            let _ = child.wait();
        }
        self.group.remove().unwrap();
        self.group.parent().remove().unwrap();
    }
}

#[test]
fn making_a_group_again_takes_it_as_it_is() {
    let Some(fixture) = Fixture::new("idempotent") else {
        return;
    };
    let parent = fixture.group.parent();
    parent.create(fixture.group.name()).unwrap();
    assert!(fixture.group.exists());
    assert_eq!(parent.children().unwrap(), [fixture.group.name().clone()]);
    Parent::open(parent.layout(), parent.path()).unwrap();
}

#[test]
fn a_missing_group_is_empty_and_removed() {
    let Some(fixture) = Fixture::new("missing") else {
        return;
    };
    let ghost = fixture.group.parent().child(&ChildName::parse("ghost").unwrap());
    assert!(!ghost.exists());
    assert!(ghost.procs().unwrap().is_empty());
    assert_eq!(ghost.kill_all().unwrap(), KillOutcome::Empty);
    ghost.remove().unwrap();
    assert!(ghost.stats().is_err());
}

/// Not a test by itself: the process that [`a_process_joins_every_hierarchy`] starts.
#[test]
fn joining_child() {
    let Ok(path) = std::env::var("FERRY_TEST_JOIN") else {
        return;
    };
    let (parent, name) = path.trim_start_matches('/').rsplit_once('/').unwrap();
    let parent = Parent::open(&Layout::detect().unwrap(), &ParentPath::parse(parent).unwrap()).unwrap();
    parent.child(&ChildName::parse(name).unwrap()).join_self().unwrap();
    print!("{}", std::fs::read_to_string("/proc/thread-self/cgroup").unwrap());
}

#[test]
fn a_process_joins_every_hierarchy() {
    let Some(fixture) = Fixture::new("join") else {
        return;
    };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cgroup::tests::joining_child", "--nocapture"])
        .env("FERRY_TEST_JOIN", fixture.group.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let joined = text
        .lines()
        .filter(|line| line.ends_with(&fixture.group.path()))
        .count();
    assert_eq!(joined, fixture.group.parent().layout().hierarchies().len(), "{text}");
}

#[test]
fn everyone_below_is_killed_and_the_group_goes_on_version_1_or_2() {
    everyone_below_is_killed_and_the_group_goes(Fixture::new("kill"));
}

#[test]
fn everyone_below_is_killed_and_the_group_goes_on_version_2() {
    everyone_below_is_killed_and_the_group_goes(Fixture::unified("kill-2"));
}

fn everyone_below_is_killed_and_the_group_goes(fixture: Option<Fixture>) {
    let Some(mut fixture) = fixture else {
        return;
    };
    let first = fixture.spawn("while :; do (sleep 60 & sleep 60 &) ; read x; done");
    let second = fixture.spawn("exec sleep 60");
    let procs = fixture.group.procs().unwrap();
    assert!(procs.contains(&first) && procs.contains(&second), "{procs:?}");
    assert_eq!(fixture.group.kill_all().unwrap(), KillOutcome::Killed);
    for child in &mut fixture.children {
        child.wait().unwrap();
    }
    fixture.group.remove().unwrap();
    assert!(!fixture.group.exists());
}

#[test]
fn a_frozen_group_stands_still_and_can_be_killed_on_version_1_or_2() {
    a_frozen_group_stands_still_and_can_be_killed(Fixture::new("freeze"));
}

#[test]
fn a_frozen_group_stands_still_and_can_be_killed_on_version_2() {
    a_frozen_group_stands_still_and_can_be_killed(Fixture::unified("freeze-2"));
}

fn a_frozen_group_stands_still_and_can_be_killed(fixture: Option<Fixture>) {
    let Some(mut fixture) = fixture else {
        return;
    };
    fixture.spawn("while :; do :; done");
    fixture.group.freeze().unwrap();
    assert!(fixture.group.is_frozen().unwrap());
    fixture.group.thaw().unwrap();
    assert!(!fixture.group.is_frozen().unwrap());
    fixture.group.freeze().unwrap();
    assert_eq!(fixture.group.kill_all().unwrap(), KillOutcome::Killed);
    fixture.children[0].wait().unwrap();
}

#[test]
fn limits_are_set_changed_and_read_back() {
    let Some(fixture) = Fixture::new("limits") else {
        return;
    };
    if fixture.group.place_of(Controller::Memory).is_none() {
        eprintln!("skipped: needs the memory controller");
        return;
    }
    fixture
        .set(r#"{"memory": {"limit": 67108864, "swap": 134217728}, "pids": {"limit": 50}}"#)
        .unwrap();
    let stats = fixture.group.stats().unwrap();
    assert_eq!(stats.memory.unwrap().limit_bytes, Some(67_108_864));
    assert_eq!(stats.pids.unwrap().limit, Some(50));
    // Up beyond memory+swap of before, then down below: the kernel wants opposite orders.
    for limit in [268_435_456_u64, 33_554_432] {
        fixture
            .set(&format!(r#"{{"memory": {{"limit": {limit}, "swap": {limit}}}}}"#))
            .unwrap();
        assert_eq!(fixture.group.stats().unwrap().memory.unwrap().limit_bytes, Some(limit));
    }
    fixture
        .set(r#"{"memory": {"limit": -1}, "pids": {"limit": -1}}"#)
        .unwrap();
    let stats = fixture.group.stats().unwrap();
    assert_eq!(stats.memory.unwrap().limit_bytes, None);
    assert_eq!(stats.pids.unwrap().limit, None);
    fixture
        .set(r#"{"cpu": {"shares": 512, "quota": 20000, "period": 50000, "cpus": "0"}}"#)
        .unwrap();
}

#[test]
fn impossible_limits_name_the_field() {
    let Some(fixture) = Fixture::new("impossible") else {
        return;
    };
    let error = fixture.set(r#"{"cpu": {"cpus": "4000"}}"#).unwrap_err();
    assert!(error.to_string().starts_with("set cpu.cpus to 4000: "), "{error}");
    let error = fixture.set(r#"{"unified": {"../../x": "1"}}"#).unwrap_err();
    assert!(
        matches!(error, Error::InvalidValue { .. } | Error::NotOnThisVersion { .. }),
        "{error}"
    );
}

#[test]
fn a_pids_limit_holds_and_cpu_time_is_counted() {
    let Some(mut fixture) = Fixture::new("counted") else {
        return;
    };
    fixture.set(r#"{"pids": {"limit": 20}}"#).unwrap();
    // The shell gives up at the first fork that is refused; its children stay.
    fixture.spawn("i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done");
    assert!(!fixture.children[0].wait().unwrap().success());
    assert_eq!(fixture.group.stats().unwrap().pids.unwrap().current, 19);
    let cpu = fixture.group.stats().unwrap().cpu.unwrap();
    assert!(cpu.total_ns > 0, "{cpu:?}");
    assert_eq!(fixture.group.oom_kills().unwrap(), 0);
}

#[test]
fn an_oom_kill_is_counted() {
    let Some(mut fixture) = Fixture::new("oom") else {
        return;
    };
    fixture
        .set(r#"{"memory": {"limit": 16777216, "swap": 16777216}}"#)
        .unwrap();
    fixture.spawn("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
    let status = fixture.children[0].wait().unwrap();
    assert!(!status.success());
    assert_eq!(fixture.group.oom_kills().unwrap(), 1);
}

#[test]
fn device_rules_hold_on_version_1() {
    let Some(mut fixture) = Fixture::new("devices") else {
        return;
    };
    if fixture.group.place_of(Controller::Devices).is_none() {
        eprintln!("skipped: needs the devices controller of version 1");
        return;
    }
    fixture.group.set_devices(crate::profile::RULES).unwrap();
    assert_devices_are_filtered(&mut fixture);
    fixture.group.set_devices(crate::profile::PRIVILEGED_RULES).unwrap();
}

#[test]
fn device_rules_hold_on_version_2() {
    let Some(mut fixture) = Fixture::unified("bpf") else {
        return;
    };
    let directory = fixture.group.clone_into_fd().unwrap().unwrap();
    match crate::device::enforce(&directory, crate::profile::PRIVILEGED_RULES) {
        Err(error @ crate::device::Error::Load { .. }) => {
            eprintln!("skipped: needs eBPF for device rules: {error}");
            return;
        }
        result => result.unwrap(),
    }
    // In place of the first, which would let everything pass.
    crate::device::enforce(&directory, crate::profile::RULES).unwrap();
    assert_devices_are_filtered(&mut fixture);
}

/// /dev/zero may be read, memory may not; neither version has a say in what is no device.
fn assert_devices_are_filtered(fixture: &mut Fixture) {
    let script =
        "head -c1 /dev/zero >/dev/null || exit 1; head -c1 /dev/kmsg && exit 2; head -c1 /etc/passwd || exit 3";
    fixture.spawn(script);
    assert_eq!(fixture.children[0].wait().unwrap().code(), Some(0));
}
