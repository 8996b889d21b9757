//! Further processes in a running container.

use std::{fs, io::Write};

use ferry_runtime::{Error, Signal, Stdin, WindowSize};

use super::{
    Test,
    fixture::{ALL, Fixture, Plan, read_log, read_until, wait},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_exec_is_inside", an_exec_is_inside),
    ("an_exec_has_the_profile", an_exec_has_the_profile),
    ("an_exec_may_have_a_terminal", an_exec_may_have_a_terminal),
    ("an_exec_ends_with_its_container", an_exec_ends_with_its_container),
    ("an_exec_that_cannot_be", an_exec_that_cannot_be),
];

/// A container that stays until it is killed.
fn sleeper(fixture: &Fixture) -> (Plan, ferry_runtime::Monitor) {
    let plan = fixture.plan(&["sleep", "1000"]);
    let monitor = plan.start(fixture);
    (plan, monitor)
}

fn stop(monitor: &ferry_runtime::Monitor) {
    let watch = monitor.watch().unwrap();
    monitor.signal(Signal::KILL).unwrap();
    wait(watch);
}

fn run(fixture: &Fixture, exec: &ferry_runtime::Exec) -> (u8, String) {
    let monitor = fixture.zygote.exec(exec).unwrap();
    let watch = monitor.watch().unwrap();
    monitor.start().unwrap();
    let exit = wait(watch);
    let log = exec.state_dir.parent().unwrap().join("log");
    (exit.code, read_log(&log).into_iter().map(|(_, text)| text).collect())
}

fn an_exec_is_inside(fixture: &Fixture) {
    let (plan, monitor) = sleeper(fixture);
    let script = "hostname; cat /proc/1/cmdline | tr '\\0' ' '; echo; ls /proc/self/fd; pwd; exit 9";
    let (code, text) = run(fixture, &plan.exec("e1", &["sh", "-c", script]));
    assert_eq!(
        (code, text),
        (9, format!("{}\nsleep 1000 \n0\n1\n2\n3\n/\n", plan.launch.id))
    );
    let cgroup = run(fixture, &plan.exec("e2", &["cat", "/proc/self/cgroup"])).1;
    let its = fs::read_to_string(format!("/proc/{}/cgroup", monitor.pid())).unwrap();
    assert_eq!(cgroup, its);
    stop(&monitor);
}

fn an_exec_has_the_profile(fixture: &Fixture) {
    let (plan, monitor) = sleeper(fixture);
    let script = "grep -E 'CapBnd|CapEff|Seccomp:' /proc/self/status; id -u; echo $HOME; umask";
    let mut exec = plan.exec("e1", &["sh", "-c", script]);
    exec.user = "app".to_owned();
    let want = "CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n1000\n/home/app\n0022\n";
    assert_eq!(run(fixture, &exec), (0, want.to_owned()));
    stop(&monitor);
}

fn an_exec_may_have_a_terminal(fixture: &Fixture) {
    let (plan, monitor) = sleeper(fixture);
    let mut exec = plan.exec("e1", &["sh", "-c", "tty; stty size; read x; echo got $x"]);
    exec.stdio.tty = Some(WindowSize { rows: 10, columns: 20 });
    exec.stdio.stdin = Stdin::Open;
    let handle = fixture.zygote.exec(&exec).unwrap();
    let mut stream = handle.attach(ALL).unwrap();
    handle.start().unwrap();
    let text = read_until(&mut stream, "10 20\r\n");
    assert!(text.starts_with("/dev/pts/0\r\n"), "{text:?}");
    stream.write_all(b"word\n").unwrap();
    read_until(&mut stream, "got word\r\n");
    stop(&monitor);
}

fn an_exec_ends_with_its_container(fixture: &Fixture) {
    let (plan, monitor) = sleeper(fixture);
    let exec = plan.exec("e1", &["sleep", "1000"]);
    let handle = fixture.zygote.exec(&exec).unwrap();
    let watch = handle.watch().unwrap();
    handle.start().unwrap();
    stop(&monitor);
    assert_eq!(wait(watch).code, 137);
    fixture.assert_nothing_left();
    let gone = fixture.zygote.exec(&plan.exec("e2", &["true"]));
    assert!(matches!(gone, Err(Error::Gone { .. } | Error::NotRunning)), "{gone:?}");
}

fn an_exec_that_cannot_be(fixture: &Fixture) {
    let (plan, monitor) = sleeper(fixture);
    let handle = fixture.zygote.exec(&plan.exec("e1", &["ghost"])).unwrap();
    let error = handle.start().unwrap_err().to_string();
    assert_eq!(error, r#"exec: "ghost": executable file not found in $PATH"#);
    let mut exec = plan.exec("e2", &["true"]);
    exec.user = "ghost".to_owned();
    let error = fixture.zygote.exec(&exec).unwrap_err().to_string();
    assert_eq!(error, "unable to find user ghost: no matching entries in passwd file");
    stop(&monitor);
}
