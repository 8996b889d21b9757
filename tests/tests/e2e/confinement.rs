//! What a process in a container sees and may do: the default profile, looked at from inside.

use ferry_tests::{Engine, host_platform};

/// Runs `script` in a fresh container.
#[track_caller]
fn inside(engine: &Engine, script: &str) -> String {
    let quoted = script.replace('\'', "'\\''");
    engine
        .sh(&format!("ferry run --rm busybox sh -c '{quoted}'"))
        .succeeds()
        .text()
}

#[test]
fn capabilities_and_filters_are_docker_s() {
    let Some(engine) = Engine::with_busybox() else { return };
    let status = inside(&engine, "cat /proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{status}"))
            .trim()
            .to_owned()
    };
    for (name, value) in [
        ("CapInh:", "0000000000000000"),
        ("CapPrm:", "00000000a80425fb"),
        ("CapEff:", "00000000a80425fb"),
        ("CapBnd:", "00000000a80425fb"),
        ("CapAmb:", "0000000000000000"),
        ("NoNewPrivs:", "0"),
        ("Seccomp:", "2"),
        ("TracerPid:", "0"),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    engine
        .sh("ferry run --rm -u 1000 busybox grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status")
        .succeeds()
        .does_not_say("a80425fb");
}

#[test]
fn the_process_is_alone() {
    let Some(engine) = Engine::with_busybox() else { return };
    assert_eq!(inside(&engine, "echo $$"), "1");
    let others = inside(
        &engine,
        "cd /proc && for p in [0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done 2>/dev/null",
    );
    assert!(
        others.lines().count() <= 3 && !others.contains("ferry"),
        "processes are seen: {others}"
    );
    let hostname = inside(&engine, "hostname");
    assert_eq!(
        hostname.len(),
        12,
        "a container's name is the head of its id: {hostname}"
    );
    let outside = engine
        .host()
        .sh("for n in mnt pid ipc uts net; do readlink /proc/self/ns/$n; done")
        .succeeds()
        .text();
    let within = inside(
        &engine,
        "for n in mnt pid ipc uts net; do readlink /proc/self/ns/$n; done",
    );
    let shared: Vec<&str> = within.lines().filter(|line| outside.contains(line)).collect();
    assert!(shared.is_empty(), "namespaces shared with the host: {shared:?}");
}

#[test]
fn no_descriptor_is_inherited() {
    let Some(engine) = Engine::with_busybox() else { return };
    // No pipe: the shell would hold its ends until all of it is started, and `ls` may look before that. More than one
    // command, so that the shell waits for `ls`, which holds the folder that it reads, instead of becoming it.
    let own = "ls /proc/$$/fd; true";
    assert_eq!(inside(&engine, own), "0\n1\n2");
    engine.sh("ferry run -d --name box busybox sleep 300").succeeds();
    engine
        .sh(&format!("ferry exec box sh -c '{own}'"))
        .succeeds()
        .prints("0\n1\n2");
    engine.sh("ferry exec box ls /proc/1/fd").succeeds().prints("0\n1\n2");
}

#[test]
fn a_filter_of_ones_own_decides_about_system_calls() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "no-mkdir.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW",
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
            "syscalls": [
              {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
              {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
              {"name": "chmod", "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 438, "op": "SCMP_CMP_EQ"}]}
            ]}"#,
    );
    let run = "ferry run --rm --security-opt seccomp=no-mkdir.json";
    let tried = "mkdir /a; rmdir /tmp/x; chmod 666 /etc/passwd; chmod 644 /etc/passwd && echo changed";
    let result = engine
        .sh(&format!("{run} busybox sh -c 'mkdir -m 0 /tmp; {tried}'"))
        .succeeds();
    let result = result.prints("changed").complains("No space left on device");
    let errors = result.errors();
    assert!(
        errors.contains("/tmp/x'") && errors.contains("No such file"),
        "{errors}"
    );
    assert!(errors.contains("/etc/passwd: Operation not permitted"), "{errors}");
    // Its conditions are about the container, and it holds whatever else is asked for, and in execs.
    let more = engine.sh(&format!("{run} --privileged busybox rmdir /tmp/x"));
    more.complains("Operation not permitted");
    engine
        .sh("ferry run -d --name box --security-opt seccomp=no-mkdir.json busybox sleep 300")
        .succeeds();
    engine
        .sh("ferry exec box mkdir /b")
        .complains("No space left on device");
    let shown = engine
        .sh("ferry inspect -f '{{json .HostConfig.SecurityOpt}}' box")
        .json();
    assert!(
        shown[0].as_str().is_some_and(|text| text.starts_with("seccomp={")),
        "{shown}"
    );
    engine.sh("ferry rm -f box").succeeds();
    for (profile, words) in [
        ("not json", "is not JSON"),
        ("[]", "Decoding seccomp profile failed"),
        (
            r#"{"defaultAction": "ALLOW"}"#,
            "string ALLOW is not a valid action for seccomp",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]}"#,
            "argument index 6 is not between 0 and 5",
        ),
    ] {
        engine.file("bad.json", profile);
        engine
            .sh("ferry create --security-opt seccomp=bad.json busybox true")
            .exits(125)
            .complains(words);
    }
    engine.sh("ferry ps -aq").succeeds().prints("");
}

#[test]
fn what_tells_of_the_host_is_masked() {
    let Some(engine) = Engine::with_busybox() else { return };
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/interrupts",
        "/proc/sched_debug",
        "/proc/latency_stats",
    ] {
        let read = inside(&engine, &format!("[ ! -e {path} ] || head -c 1 {path} | wc -c"));
        assert!(read.is_empty() || read == "0", "{path} can be read");
    }
    for path in [
        "/proc/acpi",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ] {
        let listed = inside(&engine, &format!("[ ! -e {path} ] || ls -A {path}"));
        assert_eq!(listed, "", "{path} has entries");
    }
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_helper",
        "/proc/bus",
        "/proc/fs",
    ] {
        let written = inside(
            &engine,
            &format!("[ ! -f {path} ] || (echo x >{path}) 2>/dev/null && [ -f {path} ] && echo written || true"),
        );
        assert_eq!(written, "", "{path} can be written");
    }
}

#[test]
fn mounts_are_those_of_the_profile() {
    let Some(engine) = Engine::with_busybox() else { return };
    let mounts = inside(&engine, "cat /proc/self/mounts");
    let options = |target: &str| {
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(target));
        let line = line.unwrap_or_else(|| panic!("nothing is mounted at {target}:\n{mounts}"));
        format!(",{},", line.split(' ').nth(3).unwrap_or_default())
    };
    for (target, wanted) in [
        ("/", vec!["rw"]),
        ("/proc", vec!["rw", "nosuid", "nodev", "noexec"]),
        ("/dev", vec!["rw", "nosuid", "mode=755"]),
        ("/dev/pts", vec!["rw", "nosuid", "noexec", "ptmxmode=666"]),
        ("/sys", vec!["ro", "nosuid", "nodev", "noexec"]),
        ("/dev/mqueue", vec!["rw", "nosuid", "nodev", "noexec"]),
        ("/dev/shm", vec!["rw", "nosuid", "nodev", "noexec", "size=65536k"]),
        ("/proc/sys", vec!["ro"]),
    ] {
        let found = options(target);
        for option in wanted {
            assert!(
                found.contains(&format!(",{option},")),
                "{target} lacks {option}: {found}"
            );
        }
    }
    assert!(
        !mounts.contains(&engine.exec_root().display().to_string()),
        "mounts of the engine are seen:\n{mounts}"
    );
    assert_eq!(
        mounts.lines().filter(|line| line.contains("binfmt_misc")).count(),
        0,
        "{mounts}"
    );
    for path in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"] {
        inside(&engine, &format!("echo '# mine' >>{path}"));
    }
}

#[test]
fn devices_are_the_few_that_are_harmless() {
    let Some(engine) = Engine::with_busybox() else { return };
    let devices = inside(&engine, "cd /dev && ls -d * | tr '\\n' ' '");
    let mut devices: Vec<&str> = devices.split_whitespace().collect();
    devices.retain(|name| *name != "core");
    assert_eq!(
        devices,
        [
            "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
            "urandom", "zero"
        ]
    );
    inside(
        &engine,
        "echo x >/dev/null && head -c 9 /dev/zero | wc -c | grep -x 9 && head -c 9 /dev/urandom | wc -c | grep -x 9",
    );
    // A node may be made, and not be opened: the first disk, and kernel memory.
    let denied = inside(
        &engine,
        "mknod /tmp/disk b 254 0; mknod /tmp/mem c 1 1; for d in disk mem; do (: </tmp/$d) 2>&1; done; true",
    );
    assert_eq!(denied.matches("not permitted").count(), 2, "{denied}");
    assert_eq!(
        inside(&engine, "mknod /tmp/null c 1 3 && echo ok >/tmp/null && echo written"),
        "written"
    );
}

#[test]
fn dangerous_calls_are_refused() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (what, script) in [
        ("mount", "mount -t tmpfs none /mnt 2>&1"),
        ("mount", "mkdir /m; mount --bind / /m 2>&1"),
        ("mount", "mount -o remount,rw /sys 2>&1"),
        ("umount", "umount /proc/sys 2>&1"),
        ("unshare", "unshare -m true 2>&1"),
        ("unshare", "unshare -U true 2>&1"),
        ("hostname", "hostname other 2>&1"),
        ("swapon", "swapon /dev/null 2>&1"),
        ("chroot into pivot", "pivot_root / /tmp 2>&1"),
        ("dmesg", "dmesg 2>&1"),
        ("link", "ip link add dummy0 type dummy 2>&1"),
        ("sysctl", "sysctl -w kernel.hostname=x 2>&1"),
        ("low level", "echo b 2>&1 >/proc/sysrq-trigger"),
    ] {
        let quoted = script.replace('\'', "'\\''");
        let finished = engine.sh(&format!("ferry run --rm busybox sh -c '{quoted}'"));
        assert_ne!(finished.code(), 0, "{what} succeeded: {script}\n{}", finished.all());
    }
    // What users of Docker rely on works.
    for script in [
        "ping -c 1 127.0.0.1",
        "chroot / true",
        "chown 1:1 /tmp",
        "su nobody -s /bin/true",
        "nc -l -p 80 -e true & sleep 0.1; kill %1",
    ] {
        inside(&engine, script);
    }
}

#[test]
fn resources_start_as_docker_s() {
    let Some(engine) = Engine::with_busybox() else { return };
    assert_eq!(inside(&engine, "cat /proc/self/oom_score_adj"), "0");
    assert_eq!(
        inside(&engine, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
        "0"
    );
    assert_eq!(inside(&engine, "umask"), "0022");
    assert_eq!(inside(&engine, "pwd"), "/");
    assert_eq!(inside(&engine, "uname -m"), host_platform().machine);
    assert_eq!(inside(&engine, "id"), "uid=0(root) gid=0(root) groups=0(root)");
    let environment = inside(&engine, "env | sort | cut -d= -f1 | tr '\\n' ' '");
    for name in environment.split_whitespace() {
        assert!(
            ["HOME", "HOSTNAME", "PATH", "PWD", "SHLVL", "_"].contains(&name),
            "{name} came from outside"
        );
    }
}

#[test]
fn folders_of_the_engine_are_closed_to_others() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d busybox sleep 300").succeeds();
    for root in [engine.data_root(), engine.exec_root()] {
        let modes = engine.host().sh(&format!(
            "stat -c %a {}; find {} -mindepth 1 -maxdepth 1 -type d -printf '%m\\n'",
            root.display(),
            root.display()
        ));
        let modes = modes.succeeds().text();
        let mut modes = modes.lines();
        assert_eq!(modes.next(), Some("710"), "{}", root.display());
        assert!(
            modes.all(|mode| mode == "700"),
            "a folder below {} is open",
            root.display()
        );
    }
    engine
        .host()
        .sh(&format!("stat -c %a {}/ferry.sock", engine.exec_root().display()))
        .succeeds()
        .prints("660");
}
