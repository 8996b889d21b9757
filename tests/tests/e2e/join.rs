//! Containers that share namespaces: network, processes, shared memory.

use ferry_tests::Engine;

const IDLE: &str = "busybox sleep 3000";

#[test]
fn a_network_is_shared_with_its_names() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!(
            "ferry run -d --name one -h first --domainname home --dns 10.9.8.7 --add-host far:10.1.2.3 {IDLE}"
        ))
        .succeeds();
    engine
        .sh(&format!("ferry run -d --name two --network container:one {IDLE}"))
        .succeeds();
    let both = |line: &str| {
        let inside = |name: &str| engine.sh(&format!("ferry exec {name} {line}")).succeeds().text();
        (inside("one"), inside("two"))
    };
    for line in [
        "readlink /proc/self/ns/net",
        "ip -o addr show eth0",
        "cat /etc/hosts /etc/hostname /etc/resolv.conf",
        "hostname",
        "sh -c 'echo $HOSTNAME'",
    ] {
        let (one, two) = both(line);
        assert_eq!(one, two, "{line}");
    }
    assert!(both("cat /etc/hosts").1.contains("10.1.2.3"));
    assert!(both("cat /etc/resolv.conf").1.contains("10.9.8.7"));
    let (one, two) = both("readlink /proc/self/ns/pid");
    assert_ne!(one, two);
    // By id, so that a new name does no harm; of one that joined, too.
    engine.sh("ferry rename one uno").succeeds();
    let id = engine.sh("ferry inspect -f '{{.Id}}' uno").text();
    engine
        .sh("ferry inspect -f '{{.HostConfig.NetworkMode}} {{len .NetworkSettings.Networks}}' two")
        .prints(&format!("container:{id} 0"));
    engine
        .sh("ferry run --rm --network container:two busybox hostname")
        .succeeds()
        .prints("first");
    // The other one's new network, once it was started again.
    engine.sh("ferry restart -t 0 uno && ferry restart -t 0 two").succeeds();
    engine.sh("ferry exec two ip -o addr show eth0").succeeds();
    engine.sh("ferry stop -t 0 uno two").succeeds();
    engine
        .sh("ferry start two")
        .exits(1)
        .complains(&format!("cannot join network of a non running container: {id}"));
    engine.sh("ferry start uno && ferry start two").succeeds();
    engine.sh("ferry rm -f uno two").succeeds();
}

#[test]
fn processes_and_shared_memory_are_shared() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name one --ipc shareable --shm-size 7m {IDLE}"))
        .succeeds();
    engine
        .sh(&format!(
            "ferry run -d --name two --pid container:one --ipc container:one {IDLE}"
        ))
        .succeeds();
    for kind in ["pid", "ipc"] {
        let of = |name: &str| {
            engine
                .sh(&format!("ferry exec {name} readlink /proc/self/ns/{kind}"))
                .text()
        };
        assert_eq!(of("one"), of("two"), "{kind}");
    }
    engine
        .sh("ferry exec two sh -c 'echo shared >/dev/shm/note'")
        .succeeds();
    engine.sh("ferry exec one cat /dev/shm/note").prints("shared");
    engine.sh("ferry exec two df -k /dev/shm").says("7168");
    engine
        .sh("ferry exec two touch /dev/mqueue/queue && ferry exec one ls /dev/mqueue")
        .prints("queue");
    // What runs in one is seen in the other, and the first process of the first keeps its number.
    engine.sh("ferry exec one ps -o pid,args").says("1 sleep 3000");
    let listed = engine.sh("ferry exec two ps -o args").text();
    assert_eq!(listed.matches("sleep 3000").count(), 2, "{listed}");
    // Its end is its own.
    engine.sh("ferry kill two").succeeds();
    engine.sh("ferry wait two").prints("137");
    engine.sh("ferry exec one true").succeeds();
    engine.sh("ferry start two && ferry stop -t 0 two").succeeds();
    engine
        .sh("ferry start two && ferry kill one && ferry wait two")
        .succeeds();
    engine
        .sh("ferry start two")
        .exits(1)
        .complains("failed to join PID namespace: container")
        .complains("is not running");
    engine.sh("ferry rm -f one two").succeeds();
}

#[test]
fn what_cannot_be_joined_is_refused_in_dockers_words() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh(&format!("ferry run -d --name private {IDLE}")).succeeds();
    engine.sh("ferry create --name idle busybox true").succeeds();
    let conflict = "conflicting options:";
    for (options, words) in [
        ("--network container:nobody", "No such container: nobody"),
        ("--pid container:nobody", "No such container: nobody"),
        ("--ipc container:nobody", "No such container: nobody"),
        (
            "--network container:idle",
            "cannot join network of a non running container",
        ),
        ("--pid container:idle", "failed to join PID namespace"),
        ("--ipc container:idle", "failed to join IPC namespace"),
        (
            "--ipc container:private",
            "non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
        ),
        ("--network container:", "invalid container format container:<name|id>"),
        ("--pid container:", "invalid PID mode: container:"),
        ("--uts container:private", "invalid UTS mode: container:private"),
        ("-h name --network container:private", "hostname and the network mode"),
        ("--dns 1.1.1.1 --network container:private", "dns and the network mode"),
        (
            "--add-host a:1.1.1.1 --network container:private",
            "custom host-to-IP mapping and the network mode",
        ),
        (
            "-p 80:80 --network container:private",
            "port publishing and the container type network mode",
        ),
        (
            "--expose 80 --network container:private",
            "port exposing and the container type network mode",
        ),
        (
            "--sysctl net.ipv4.ip_forward=1 --network container:private",
            "net.ipv4.ip_forward",
        ),
        ("--runtime nonsense", "unknown or invalid runtime name: nonsense"),
        (
            "--storage-opt size=1G",
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
    ] {
        let refused = engine
            .sh(&format!("ferry run --name failed {options} busybox true"))
            .exits(125);
        let refused = refused.complains(words);
        if options.contains("-h ") || options.contains("--dns") {
            refused.complains(conflict);
        }
        engine.sh("ferry rm -f failed 2>/dev/null");
    }
    engine.sh("ferry rm -f private idle").succeeds();
}

#[test]
fn the_hosts_name_and_annotations_are_told() {
    let Some(engine) = Engine::with_busybox() else { return };
    let host = engine.host().sh("uname -n").text();
    for option in ["--uts host", "--network host"] {
        engine
            .sh(&format!(
                "ferry run --rm {option} busybox sh -c 'hostname; echo $HOSTNAME'"
            ))
            .succeeds()
            .prints(&format!("{host}\n{host}"));
    }
    engine
        .sh("ferry run --rm --network host -h own busybox hostname")
        .succeeds()
        .prints("own");
    engine
        .sh("ferry create --name box --annotation a.b=c --runtime runc busybox true")
        .succeeds();
    engine
        .sh("ferry inspect -f '{{json .HostConfig.Annotations}}' box && ferry start -a box")
        .succeeds()
        .prints("{\"a.b\":\"c\"}");
    engine.sh("ferry rm box").succeeds();
}
