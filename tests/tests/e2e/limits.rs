//! Limits and other gifts of the host: what the process inside sees of each option.

use ferry_tests::{Engine, Finished, eventually};

/// Runs `script` in a container with these options.
#[track_caller]
fn run(engine: &Engine, options: &str, script: &str) -> Finished {
    let quoted = script.replace('\'', "'\\''");
    engine.sh(&format!("ferry run --rm {options} busybox sh -c '{quoted}'"))
}

/// What the container's own control file says, in whichever place this host has it.
pub(crate) fn control(v1: &str, v2: &str) -> String {
    let controller = v1.split('.').next().unwrap_or_default();
    // A container of version 1 sees the host's paths, of version 2 its own group as the root.
    format!(
        "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat /sys/fs/cgroup/{v2}; \
         else cat /sys/fs/cgroup/{controller}/{v1}; fi"
    )
}

#[test]
fn limits_reach_the_control_group() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (options, v1, v2, values) in [
        ("-m 64m", "memory.limit_in_bytes", "memory.max", ["67108864"; 2]),
        (
            "-m 64m --memory-swap 96m",
            "memory.memsw.limit_in_bytes",
            "memory.swap.max",
            ["100663296", "33554432"],
        ),
        (
            "--memory-reservation 32m",
            "memory.soft_limit_in_bytes",
            "memory.low",
            ["33554432"; 2],
        ),
        ("--cpus 0.5", "cpu.cfs_quota_us", "cpu.max", ["50000", "50000 100000"]),
        (
            "--cpu-quota 30000 --cpu-period 60000",
            "cpu.cfs_period_us",
            "cpu.max",
            ["60000", "30000 60000"],
        ),
        ("-c 512", "cpu.shares", "cpu.weight", ["512", "59"]),
        ("--cpuset-cpus 0", "cpuset.cpus", "cpuset.cpus", ["0"; 2]),
        ("--pids-limit 20", "pids.max", "pids.max", ["20"; 2]),
    ] {
        let seen = run(&engine, options, &control(v1, v2)).succeeds();
        assert!(values.contains(&seen.text().as_str()), "{options}: {}", seen.all());
    }
}

#[test]
fn limits_that_cannot_be_are_refused_in_docker_s_words() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (options, words) in [
        ("-m 5m", "Minimum memory limit allowed is 6MB"),
        (
            "-m 64m --memory-swap 32m",
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            "--memory-swap 32m",
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        ("--cpus 9999", "range of CPUs is from 0.01 to "),
        (
            "--cpuset-cpus 999",
            "Requested CPUs are not available - requested 999, available: ",
        ),
        ("--blkio-weight 5000", "lkio weight"),
    ] {
        let refused = engine.sh(&format!("ferry create {options} --name refused busybox true"));
        if options.starts_with("--blkio") && refused.code() == 0 {
            // No such limit here: a warning.
            refused.complains("Your kernel does not support Block I/O weight");
            engine.sh("ferry rm refused").succeeds();
            continue;
        }
        refused.exits(125).complains(words);
        engine.sh("ferry inspect refused").exits(1);
    }
}

#[test]
fn inspect_shows_limits() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry create --name limited -m 64m --cpus 0.5 --pids-limit 20 --cpuset-cpus 0 busybox true")
        .succeeds();
    engine.stop();
    engine.restart();
    let shown = engine.sh("ferry inspect limited").succeeds().json();
    let host = &shown[0]["HostConfig"];
    for (name, value) in [("Memory", 64 << 20), ("NanoCpus", 500_000_000), ("PidsLimit", 20)] {
        assert_eq!(host[name], value, "{name}");
    }
    assert_eq!(host["CpusetCpus"], "0");
    let swap = host["MemorySwap"].as_i64();
    assert!(swap == Some(128 << 20) || swap == Some(-1), "{swap:?}");
}

#[test]
fn memory_that_ends_is_told() {
    let Some(engine) = Engine::with_busybox() else { return };
    // A string that doubles, up to 64 MiB in a shell that may have 16.
    let grow = "x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do x=$x$x; done";
    engine
        .sh(&format!(
            "ferry run --name hungry -m 16m --memory-swap 16m busybox sh -c '{grow}'"
        ))
        .exits(137);
    let state = engine.sh("ferry inspect hungry").succeeds().json();
    assert_eq!(state[0]["State"]["OOMKilled"], true, "{}", state[0]["State"]);
    assert_eq!(state[0]["State"]["ExitCode"], 137);
    engine.sh("ferry run --name sated -m 16m busybox true").succeeds();
    let state = engine.sh("ferry inspect sated").succeeds().json();
    assert_eq!(state[0]["State"]["OOMKilled"], false);
}

#[test]
fn each_process_has_its_limits_and_groups() {
    let Some(engine) = Engine::with_busybox() else { return };
    run(
        &engine,
        "--ulimit nofile=100:200 --ulimit core=0",
        "ulimit -Sn; ulimit -Hn; ulimit -c",
    )
    .succeeds()
    .prints("100\n200\n0");
    run(&engine, "--group-add 1234 --group-add 0 -u 1000", "id -G")
        .succeeds()
        .says("1234");
    run(&engine, "--oom-score-adj 321", "cat /proc/self/oom_score_adj")
        .succeeds()
        .prints("321");
    engine
        .sh("ferry run -d --name box --ulimit nofile=100:200 --group-add 1234 busybox sleep 300")
        .succeeds();
    engine
        .sh("ferry exec box sh -c 'ulimit -Hn; id -G'")
        .succeeds()
        .says("200\n")
        .says("1234");
    for (options, words) in [
        ("--ulimit files=1", "invalid ulimit type: files"),
        (
            "--oom-score-adj 1001",
            "Invalid value 1001, range for oom score adj is [-1000, 1000]",
        ),
    ] {
        run(&engine, options, "true").exits(125).complains(words);
    }
}

#[test]
fn memory_file_systems_have_their_options() {
    let Some(engine) = Engine::with_busybox() else { return };
    let options = |asked: &str, target: &str| {
        let line = run(&engine, asked, &format!("grep \" {target} \" /proc/self/mounts")).succeeds();
        format!(",{},", line.text().split(' ').nth(3).unwrap_or_default())
    };
    for (asked, target, wanted) in [
        ("--shm-size 1m", "/dev/shm", "size=1024k noexec nosuid nodev"),
        (
            "--tmpfs /t:size=2m,mode=700,uid=5",
            "/t",
            "rw size=2048k mode=700 uid=5 noexec nosuid nodev",
        ),
        ("--tmpfs /t:exec", "/t", "rw nosuid nodev"),
        (
            "--mount type=tmpfs,target=/a/b,tmpfs-size=1m,tmpfs-mode=1770,readonly",
            "/a/b",
            "ro size=1024k mode=1770",
        ),
    ] {
        let found = options(asked, target);
        for option in wanted.split(' ') {
            assert!(
                found.contains(&format!(",{option},")),
                "{asked}: no {option} in {found}"
            );
        }
        assert!(asked != "--tmpfs /t:exec" || !found.contains("noexec"), "{found}");
    }
    run(&engine, "--tmpfs /t --read-only", "echo x >/t/x && cat /t/x")
        .succeeds()
        .prints("x");
    run(&engine, "--tmpfs /t:bind", "true").exits(125).complains("bind");
}

#[test]
fn kernel_parameters_of_its_own_namespaces_can_be_set() {
    let Some(engine) = Engine::with_busybox() else { return };
    run(
        &engine,
        "--sysctl net.core.somaxconn=77 --sysctl kernel.shm_rmid_forced=1",
        "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shm_rmid_forced",
    )
    .succeeds()
    .prints("77\n1");
    run(&engine, "--network host --sysctl net.core.somaxconn=77", "true")
        .exits(125)
        .complains("sysctl \"net.core.somaxconn\" not allowed in host network namespace");
    run(&engine, "--sysctl kernel.core_pattern=x", "true")
        .exits(125)
        .complains("kernel.core_pattern");
}

#[test]
fn confinement_can_be_changed_piece_by_piece() {
    let Some(engine) = Engine::with_busybox() else { return };
    let status = |options: &str, field: &str| {
        run(&engine, options, &format!("grep {field}: /proc/self/status | cut -f2"))
            .succeeds()
            .text()
    };
    assert_eq!(status("--security-opt no-new-privileges", "NoNewPrivs"), "1");
    assert_eq!(status("--security-opt no-new-privileges=false", "NoNewPrivs"), "0");
    assert_eq!(status("--security-opt seccomp=unconfined", "Seccomp"), "0");
    assert_eq!(
        status(
            "--security-opt apparmor=unconfined --security-opt label=disable",
            "Seccomp"
        ),
        "2"
    );
    let masks = "grep -cE ' /proc/sys ' /proc/self/mounts";
    run(&engine, "", masks).prints("1");
    run(&engine, "--security-opt systempaths=unconfined", masks).prints("0");
    run(&engine, "--security-opt seccomp=/dev/null", "true").exits(125);
    engine
        .sh("ferry run -d --name box --security-opt no-new-privileges --security-opt seccomp=unconfined busybox sleep 300")
        .succeeds();
    engine
        .sh("ferry exec box grep -E 'NoNewPrivs|Seccomp:' /proc/self/status")
        .succeeds()
        .prints("NoNewPrivs:\t1\nSeccomp:\t0");
}

#[test]
fn namespaces_can_be_the_host_s() {
    let Some(engine) = Engine::with_busybox() else { return };
    let of_host = |name: &str| engine.host().sh(&format!("readlink /proc/self/ns/{name}")).text();
    for (options, name) in [
        ("--pid host", "pid"),
        ("--uts host", "uts"),
        ("--ipc host", "ipc"),
        ("--cgroupns host", "cgroup"),
    ] {
        run(&engine, options, &format!("readlink /proc/self/ns/{name}"))
            .succeeds()
            .prints(&of_host(name));
    }
    let hostname = engine.host().sh("cat /proc/sys/kernel/hostname").text();
    run(&engine, "--uts host", "hostname").succeeds().prints(&hostname);
    run(&engine, "--uts host -h other", "hostname")
        .exits(125)
        .complains("conflicting options: hostname and the UTS mode");
    run(&engine, "--ipc none", "grep -c ' /dev/shm ' /proc/self/mounts").prints("0");
    run(&engine, "--ipc shareable", "grep -c ' /dev/shm ' /proc/self/mounts").prints("1");
    run(&engine, "--ipc host --sysctl kernel.shm_rmid_forced=1", "true")
        .exits(125)
        .complains("kernel.shm_rmid_forced");
    // Its end is the end of all that it started, although it leads no namespace.
    engine
        .sh("ferry run --name box --pid host busybox sh -c 'sleep 4321 & true'")
        .succeeds();
    engine.host().sh("pgrep -f '^sleep 4321$'").exits(1);
}

#[test]
fn devices_of_the_host_are_given() {
    let Some(engine) = Engine::with_busybox() else { return };
    if !std::path::Path::new("/dev/fuse").exists() {
        ferry_tests::skip("the device /dev/fuse");
        return;
    }
    let open = "if (: <>/dev/inside) 2>/dev/null; then echo open; else echo refused; fi";
    run(
        &engine,
        "--device /dev/fuse:/dev/inside",
        &format!("stat -c %t:%T /dev/inside; {open}"),
    )
    .succeeds()
    .prints("a:e5\nopen");
    run(&engine, "--device /dev/fuse:/dev/inside:r", open).prints("refused");
    let made = format!("mknod /dev/inside c 10 229; {open}");
    run(&engine, "", &made).prints("refused");
    run(&engine, "--device-cgroup-rule 'c 10:229 rwm'", &made).prints("open");
    run(&engine, "--device /dev/no-such-device", "true")
        .exits(125)
        .complains("error gathering device information while adding custom device \"/dev/no-such-device\"");
}

#[test]
fn a_parent_of_ones_own_holds_the_control_group() {
    let Some(engine) = Engine::with_busybox() else { return };
    let parent = format!("test-{}/deep", engine.name());
    let top = parent.split('/').next().unwrap_or_default().to_owned();
    let exists = |name: &str| {
        let line = format!("ls -d /sys/fs/cgroup/{name} /sys/fs/cgroup/*/{name} 2>/dev/null | head -1");
        !engine.sh(&line).text().is_empty()
    };
    let run = format!("ferry run -d --cgroup-parent /{parent} -m 64m");
    engine.sh(&format!("{run} --name one busybox sleep 300")).succeeds();
    engine.sh(&format!("{run} --name two busybox sleep 300")).succeeds();
    let id = engine.sh("ferry inspect -f '{{.Id}}' one").text();
    assert!(engine.init_of("one").is_in_cgroup(&format!("/{parent}/{id}")));
    engine
        .sh("ferry exec one sleep 0 && ferry pause one && ferry unpause one && ferry top one")
        .succeeds();
    engine
        .sh("ferry inspect -f '{{.HostConfig.CgroupParent}}' one")
        .prints(&format!("/{parent}"));
    engine
        .sh("ferry stats --no-stream --format '{{.MemUsage}}' one")
        .says("64MiB");
    // It stays as long as somebody needs it, whatever becomes of the engine.
    engine.sh("ferry rm -f one").succeeds();
    assert!(exists(&parent));
    engine.kill();
    engine.restart();
    engine.sh("ferry exec two true").succeeds();
    engine.monitor_of("two").kill();
    eventually("it is gone", || (!exists(&top)).then_some(()));
    engine.sh("ferry start two").succeeds();
    assert!(exists(&parent));
    // What others have in there is left alone.
    let foreign = engine.sh(&format!(
        "for d in /sys/fs/cgroup/{top} /sys/fs/cgroup/pids/{top}; do [ ! -d $d ] || mkdir $d/foreign; done"
    ));
    foreign.succeeds();
    engine.sh("ferry rm -f two").succeeds();
    eventually("its own part is gone", || (!exists(&parent)).then_some(()));
    assert!(exists(&format!("{top}/foreign")));
    engine.sh(&format!(
        "rmdir /sys/fs/cgroup/{top}/foreign /sys/fs/cgroup/pids/{top}/foreign 2>/dev/null; true"
    ));
    for (path, words) in [
        ("../up", "invalid cgroup parent"),
        ("/", "invalid cgroup parent"),
        ("a/cgroup.procs", "kernel's own files"),
    ] {
        engine
            .sh(&format!("ferry create --cgroup-parent {path} busybox true"))
            .exits(125)
            .complains(words);
    }
    engine.sh(&format!("{run} --rm busybox true")).succeeds();
    eventually("nothing is left", || (!exists(&top)).then_some(()));
}

#[test]
fn the_host_is_told_as_it_is() {
    let Some(engine) = Engine::with_busybox() else { return };
    let info = engine.sh("ferry info --format json").json();
    let is_v2 = info["CgroupVersion"] == "2";
    for (field, v1, v2) in [
        ("MemoryLimit", "memory/memory.limit_in_bytes", "*/memory.max"),
        ("SwapLimit", "memory/memory.memsw.limit_in_bytes", "*/memory.swap.max"),
        ("CpuCfsPeriod", "cpu/cpu.cfs_quota_us", "*/cpu.max"),
        ("CPUShares", "cpu/cpu.shares", "*/cpu.weight"),
        ("CPUSet", "cpuset/cpuset.cpus", "*/cpuset.cpus"),
        ("OomKillDisable", "memory/memory.oom_control", "none"),
    ] {
        let file = if is_v2 { v2 } else { v1 };
        let there = !engine
            .sh(&format!("ls /sys/fs/cgroup/{file} 2>/dev/null"))
            .text()
            .is_empty();
        assert_eq!(info[field], there, "{field}");
    }
    assert_eq!(info["PidsLimit"], true);
    let warnings = info["Warnings"].to_string();
    assert_eq!(
        warnings.contains("No swap limit support"),
        info["SwapLimit"] == false,
        "{warnings}"
    );
}

#[test]
fn what_the_engine_may_not_give_is_said() {
    let Some(engine) = Engine::with_busybox() else { return };
    // More than the kernel's own bound no engine may give, one with all capabilities neither.
    let given = engine.sh("ferry run --rm --ulimit nofile=100:200 busybox sh -c 'ulimit -n; ulimit -Hn'");
    given.succeeds().does_not_complain("WARNING").prints("100\n200");
    let more = engine.sh("ferry run --rm --ulimit nofile=100:99999999999 busybox sh -c 'ulimit -Hn'");
    if more.code() == 0 {
        let words = format!(
            "WARNING: RLIMIT_NOFILE 99999999999 is more than the engine may give; {} is",
            more.text()
        );
        more.complains(&words);
    } else {
        more.exits(125).complains("RLIMIT_NOFILE");
    }
}
