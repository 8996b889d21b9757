//! `update`: limits of containers that run, and of those that do not.

use ferry_tests::{Engine, Events};

use super::limits::control;

/// What a control file of a running container says, in whichever place this host has it.
#[track_caller]
fn limit(engine: &Engine, container: &str, v1: &str, v2: &str) -> String {
    let script = control(v1, v2).replace('\'', "'\\''");
    engine
        .sh(&format!("ferry exec {container} sh -c '{script}'"))
        .succeeds()
        .text()
}

#[test]
fn a_running_container_gets_other_limits() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name box -m 64m --memory-swap 128m busybox sleep 300")
        .succeeds();
    let events = Events::of(&engine);
    for (options, v1, v2, values) in [
        // Above what memory and swap were together, and below: the order of writes differs.
        (
            "-m 256m --memory-swap 300m",
            "memory.limit_in_bytes",
            "memory.max",
            ["268435456"; 2],
        ),
        (
            "-m 32m --memory-swap 48m",
            "memory.limit_in_bytes",
            "memory.max",
            ["33554432"; 2],
        ),
        (
            "-m 40m",
            "memory.memsw.limit_in_bytes",
            "memory.swap.max",
            ["50331648", "8388608"],
        ),
        (
            "--memory-reservation 16m",
            "memory.soft_limit_in_bytes",
            "memory.low",
            ["16777216"; 2],
        ),
        ("--cpus 0.5", "cpu.cfs_quota_us", "cpu.max", ["50000", "50000 100000"]),
        ("--cpus 0.25", "cpu.cfs_quota_us", "cpu.max", ["25000", "25000 100000"]),
        ("-c 512", "cpu.shares", "cpu.weight", ["512", "59"]),
        ("--cpuset-cpus 0", "cpuset.cpus", "cpuset.cpus", ["0"; 2]),
        ("--pids-limit 30", "pids.max", "pids.max", ["30"; 2]),
        ("--pids-limit -1", "pids.max", "pids.max", ["max"; 2]),
        ("--pids-limit 31", "pids.max", "pids.max", ["31"; 2]),
    ] {
        engine
            .sh(&format!("ferry update {options} box"))
            .succeeds()
            .prints("box");
        let seen = limit(&engine, "box", v1, v2);
        assert!(values.contains(&seen.as_str()), "{options}: {seen}");
    }
    events.until("update");
    drop(events);
    // What was acknowledged outlives the engine, and a start.
    engine.kill();
    engine.restart();
    let shown = engine.sh("ferry inspect box").succeeds().json();
    let host = &shown[0]["HostConfig"];
    for (name, value) in [
        ("Memory", 40 << 20),
        ("NanoCpus", 250_000_000),
        ("CpuShares", 512),
        ("PidsLimit", 31),
        ("MemoryReservation", 16 << 20),
    ] {
        assert_eq!(host[name], value, "{name}");
    }
    engine.sh("ferry restart -t 0 box").succeeds();
    assert_eq!(
        limit(&engine, "box", "memory.limit_in_bytes", "memory.max"),
        (40 << 20).to_string()
    );
    assert_eq!(limit(&engine, "box", "pids.max", "pids.max"), "31");
}

#[test]
fn a_container_that_does_not_run_gets_them_at_its_start() {
    let Some(engine) = Engine::with_busybox() else { return };
    let script = control("pids.max", "pids.max");
    engine
        .sh(&format!("ferry create --name later busybox sh -c '{script}'"))
        .succeeds();
    engine
        .sh("ferry update --pids-limit 23 later && ferry container rename later now")
        .succeeds();
    engine.sh("ferry start -a now").succeeds().prints("23");
    engine
        .sh("ferry update --pids-limit 24 now && ferry start -a now")
        .succeeds()
        .says("24");
    engine.stop();
    engine.restart();
    engine
        .sh("ferry inspect -f '{{.HostConfig.PidsLimit}}' now")
        .succeeds()
        .prints("24");
}

#[test]
fn changes_that_cannot_be_are_refused_in_docker_s_words() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name box -m 64m --memory-swap 128m --cpus 0.5 --pids-limit 20 busybox sleep 300")
        .succeeds();
    for (options, words) in [
        ("-m 5m", "Minimum memory limit allowed is 6MB"),
        ("--cpus 9999", "range of CPUs is from 0.01 to "),
        (
            "--cpuset-cpus 999",
            "Requested CPUs are not available - requested 999, available: ",
        ),
        (
            "-m 300m",
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        (
            "--cpu-quota 30000",
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        ("--memory-reservation 1m", "Minimum memory reservation allowed is 6MB"),
    ] {
        engine
            .sh(&format!("ferry update {options} --pids-limit 21 box"))
            .exits(1)
            .complains(words);
        assert_eq!(limit(&engine, "box", "pids.max", "pids.max"), "20", "{options}");
    }
    engine
        .sh("ferry update box")
        .exits(1)
        .complains("you must provide one or more flags when using this command");
    engine
        .sh("ferry update --pids-limit 21 ghost box")
        .exits(1)
        .complains("No such container: ghost")
        .says("box");
}

#[test]
fn a_change_that_the_kernel_refuses_leaves_all_as_it_was() {
    let Some(engine) = Engine::with_busybox() else { return };
    // Version 2 kills what does not fit, as Docker lets it.
    if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return ferry_tests::skip("control groups of version 1");
    }
    let grow = "x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do x=$x$x; done";
    engine
        .sh(&format!(
            "ferry run -d --name full -m 64m --memory-swap 64m --pids-limit 20 busybox sh -c '{grow}; echo full; sleep 300; true'"
        ))
        .succeeds();
    ferry_tests::eventually("it is full", || {
        engine.sh("ferry logs full").text().contains("full").then_some(())
    });
    engine
        .sh("ferry update -m 6m --memory-swap 6m --pids-limit 21 full")
        .exits(1)
        .complains("Cannot update container");
    for (v1, value) in [
        ("memory.limit_in_bytes", "67108864"),
        ("memory.memsw.limit_in_bytes", "67108864"),
        ("pids.max", "20"),
    ] {
        assert_eq!(limit(&engine, "full", v1, v1), value, "{v1}");
    }
    let shown = engine.sh("ferry inspect full").succeeds().json();
    assert_eq!(shown[0]["HostConfig"]["PidsLimit"], 20);
    assert_eq!(shown[0]["HostConfig"]["Memory"], 64 << 20);
}
