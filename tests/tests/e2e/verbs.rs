//! What can be done with a container besides starting and ending it: pause, top, stats, diff, export, commit, rename.

use ferry_tests::{Engine, eventually};

/// Counts for as long as it runs.
const COUNTER: &str = "sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'";

#[test]
fn a_paused_container_stands_still() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name counter busybox {COUNTER}"))
        .succeeds();
    engine.sh("ferry unpause counter").exits(1).complains("is not paused");
    engine.sh("ferry pause counter").succeeds().prints("counter");
    let counted = || engine.sh("ferry logs --tail 1 counter").succeeds().text();
    let before = counted();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(counted(), before);
    engine
        .sh("ferry ps --format '{{.Status}} {{.State}}'")
        .succeeds()
        .says("(Paused) paused");
    engine.sh("ferry ps -q --filter status=running").succeeds().prints("");
    let state = engine.sh("ferry inspect -f '{{json .State}}' counter").json();
    assert_eq!(
        (&state["Status"], &state["Running"], &state["Paused"]),
        (&"paused".into(), &true.into(), &true.into())
    );
    engine.sh("ferry info").says("Paused: 1");
    for (line, reason) in [
        ("ferry pause counter", "is already paused"),
        (
            "ferry exec counter true",
            "is paused, unpause the container before exec",
        ),
        (
            "ferry start counter",
            "cannot start a paused container, try unpause instead",
        ),
        ("ferry rm counter", "container is paused and must be unpaused first"),
    ] {
        engine.sh(line).exits(1).complains(reason);
    }
    engine
        .sh("ferry container unpause counter")
        .succeeds()
        .prints("counter");
    eventually("it goes on", || (counted() != before).then_some(()));
    engine.sh("ferry exec counter echo awake").succeeds().prints("awake");
    engine.sh("ferry create --name idle busybox true").succeeds();
    engine.sh("ferry pause idle").exits(1).complains("is not running");
    engine
        .sh("ferry pause nobody")
        .exits(1)
        .complains("No such container: nobody");
}

#[test]
fn a_paused_container_can_be_ended() {
    let Some(engine) = Engine::with_busybox() else { return };
    let obedient = "sh -c 'trap \"exit 7\" TERM; echo up; while :; do sleep 0.02; done'";
    for (end, status) in [
        ("ferry kill it", "137"),
        ("ferry kill -s TERM it", "7"),
        ("ferry stop it", "7"),
    ] {
        engine
            .sh(&format!("ferry run -d --name it busybox {obedient}"))
            .succeeds();
        eventually("it is up", || (engine.sh("ferry logs it").text() == "up").then_some(()));
        engine.sh("ferry pause it").succeeds();
        engine.sh(end).succeeds();
        engine.sh("ferry wait it").succeeds().prints(status);
        engine.sh("ferry rm it").succeeds();
    }
    engine.sh("ferry run -d --name it busybox sleep 300").succeeds();
    engine.sh("ferry pause it && ferry rm -f it").succeeds();
    engine.sh("ferry ps -aq").succeeds().prints("");
}

#[test]
fn a_pause_outlives_the_engine() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name counter busybox {COUNTER}"))
        .succeeds();
    engine.sh("ferry run -d --name other busybox sleep 300").succeeds();
    engine.sh("ferry pause counter other").succeeds();
    engine.kill();
    engine.restart();
    engine
        .sh("ferry ps --filter status=paused --format '{{.Names}}'")
        .succeeds()
        .prints("other\ncounter");
    let before = engine.sh("ferry logs --tail 1 counter").succeeds().text();
    engine.sh("ferry unpause counter").succeeds();
    eventually("it goes on", || {
        (engine.sh("ferry logs --tail 1 counter").text() != before).then_some(())
    });
    // What an engine froze for a commit alone goes on without it.
    engine.sh("ferry pause counter").succeeds();
    let id = engine.sh("ferry inspect -f '{{.Id}}' counter").succeeds().text();
    let mark = engine.exec_root().join("containers").join(id).join("commit");
    std::fs::write(&mark, "").expect("a mark");
    engine.kill();
    engine.restart();
    engine
        .sh("ferry ps --filter status=running --format '{{.Names}}'")
        .succeeds()
        .prints("counter");
    assert!(!mark.exists());
    engine.sh("ferry exec counter true").succeeds();
    // With its monitor goes a container that cannot even hear it.
    engine.monitor_of("other").kill();
    engine.sh("ferry wait other").succeeds().prints("137");
}

#[test]
fn processes_are_listed_as_by_ps() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name it busybox sh -c 'sleep 301 & exec sleep 302'")
        .succeeds();
    eventually("both run", || {
        let listed = engine.sh("ferry top it").text();
        (listed.contains("sleep 301") && listed.contains("sleep 302")).then_some(())
    });
    let list = engine.sh("ferry top it").succeeds();
    assert_eq!(
        list.text().lines().next().map(|head| head.split_whitespace().collect()),
        Some(vec!["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
    );
    assert_eq!(list.text().lines().count(), 3);
    let init = engine.init_of("it").pid.to_string();
    let listed = engine.sh("ferry container top it -o pid,user,args").succeeds().text();
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec![init.as_str(), "root", "sleep", "302"]), "{listed}");
    engine.sh("ferry top it aux").succeeds().says("%MEM").says("sleep 301");
    engine
        .sh("ferry top it -Z")
        .exits(1)
        .complains("Ferry reads /proc itself");
    engine.sh("ferry pause it && ferry top it").succeeds().says("sleep 302");
    engine
        .sh("ferry rm -f it && ferry top it")
        .exits(1)
        .complains("No such container");
    engine
        .sh("ferry create --name idle busybox true && ferry top idle")
        .exits(1)
        .complains("is not running");
}

#[test]
fn what_a_container_uses_is_measured() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name busy busybox sh -c 'while :; do :; done'")
        .succeeds();
    engine.sh("ferry create --name idle busybox true").succeeds();
    let used = engine
        .sh("ferry stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.PIDs}} {{.MemUsage}}'")
        .succeeds()
        .text();
    let fields: Vec<&str> = used.split_whitespace().collect();
    let percent: f64 = fields[1].trim_end_matches('%').parse().expect("a percentage");
    assert!(fields[0] == "busy" && percent > 1.0 && fields[2] == "1", "{used}");
    assert_ne!(fields[3], "0B", "{used}");
    engine
        .sh("ferry container stats --no-stream -a --format '{{.Name}} {{.PIDs}}'")
        .succeeds()
        .says("busy 1")
        .says("idle 0");
    engine
        .sh("ferry stats --no-stream")
        .succeeds()
        .says("MEM USAGE / LIMIT");
    engine
        .sh("ferry stats --no-stream nobody")
        .exits(1)
        .complains("No such container: nobody");
    let mut stream = engine.background("ferry stats --format '{{.Name}}'");
    stream.until_says("busy\nbusy\n");
    stream.signal(rustix::process::Signal::TERM);
    stream.finish();
    engine.sh("ferry rm -f busy").succeeds();
}

/// Changes files of every kind, and goes on.
const CHANGER: &str = "sh -c 'mkdir -p /new/dir && echo made > /new/dir/file && ln -s /etc/passwd /new/link && \
     echo more >> /etc/passwd && rm /etc/group && rm -r /home && mkdir /home && echo x > /home/own && \
     echo up && exec sleep 300'";

fn changed(engine: &Engine) {
    engine.file(
        "Dockerfile",
        "FROM busybox\nRUN mkdir -p /home/a && echo g > /etc/group && echo p > /etc/passwd\n",
    );
    engine.sh("ferry build -q -t base .").succeeds();
    engine
        .sh(&format!("ferry run -d --name it -e KEY=value base {CHANGER}"))
        .succeeds();
    eventually("it is done", || {
        (engine.sh("ferry logs it").text() == "up").then_some(())
    });
}

#[test]
fn what_a_container_changed_is_listed() {
    let Some(engine) = Engine::with_busybox() else { return };
    changed(&engine);
    let list = "C /etc\nD /etc/group\nC /etc/passwd\nC /home\nD /home/a\nA /home/own\nA /new\nA /new/dir\n\
                A /new/dir/file\nA /new/link";
    engine.sh("ferry diff it").succeeds().prints(list);
    engine.sh("ferry rm -f it").succeeds();
    engine.sh("ferry run --name other busybox true").succeeds();
    engine.sh("ferry container diff other").succeeds().prints("");
    engine
        .sh("ferry diff nobody")
        .exits(1)
        .complains("No such container: nobody");
}

#[test]
fn a_container_s_files_are_exported() {
    let Some(engine) = Engine::with_busybox() else { return };
    changed(&engine);
    for end in ["true", "ferry stop -t 0 it"] {
        engine.sh(end).succeeds();
        engine.sh("ferry export -o it.tar it").succeeds();
        let listed = engine.sh("tar -tf it.tar").succeeds().text();
        let has = |name: &str| listed.lines().any(|line| line == name);
        assert!(
            has("new/dir/file") && has("home/own") && has("etc/passwd") && has("bin/sh"),
            "{listed}"
        );
        assert!(!has("etc/group") && !has("home/a/"), "{listed}");
        // What is mounted in the container is not part of it.
        assert!(
            !listed.lines().any(|line| line.starts_with("proc/") && line != "proc/"),
            "{listed}"
        );
        engine.sh("tar -xOf it.tar etc/passwd").succeeds().prints("p\nmore");
    }
    engine
        .sh("ferry export it | ferry import - again && ferry run --rm again cat /new/dir/file")
        .succeeds()
        .says("made");
    engine
        .sh("ferry container export nobody")
        .exits(1)
        .complains("No such container: nobody");
}

#[test]
fn a_container_becomes_an_image() {
    let Some(engine) = Engine::with_busybox() else { return };
    changed(&engine);
    let id = engine
        .sh("ferry commit -a someone -m 'a remark' it kept:1")
        .succeeds()
        .text();
    assert!(id.starts_with("sha256:"), "{id}");
    engine.sh("ferry ps --format '{{.State}}'").succeeds().prints("running");
    let image = engine.sh("ferry image inspect kept:1").succeeds().json();
    assert_eq!(image[0]["Author"], "someone");
    assert_eq!(image[0]["RootFS"]["Layers"].as_array().map(Vec::len), Some(3));
    engine.sh("ferry history --no-trunc kept:1").succeeds().says("a remark");
    engine
        .sh("ferry run --rm kept:1 sh -c 'cat /new/dir/file /etc/passwd; ls /home; ls /etc/group; echo $KEY'")
        .succeeds()
        .prints("made\np\nmore\nown\nvalue");
    engine
        .sh("ferry container commit -c 'CMD [\"cat\", \"/new/dir/file\"]' -c 'ENV A=1' it changed")
        .succeeds();
    engine.sh("ferry run --rm changed").succeeds().prints("made");
    engine.sh("ferry run --rm changed env").succeeds().says("A=1");
    engine
        .sh("ferry commit -c 'RUN true' it wrong")
        .exits(1)
        .complains("RUN true");
    engine.sh("ferry pause it && ferry commit it still").succeeds();
    engine.sh("ferry ps --format '{{.State}}'").succeeds().prints("paused");
    engine.sh("ferry rm -f it && ferry save kept:1 | ferry load").succeeds();
    engine.sh("ferry create --name same busybox true").succeeds();
    engine
        .sh("ferry commit same nothing && ferry run --rm nothing")
        .succeeds();
}

#[test]
fn a_container_gets_another_name() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry create --name before busybox true").succeeds();
    engine.sh("ferry create --name other busybox true").succeeds();
    engine.sh("ferry rename before after").succeeds().prints("");
    engine
        .sh("ferry container rename after other")
        .exits(1)
        .complains("already in use");
    engine.sh("ferry rm after").succeeds();
    engine
        .sh("ferry rename before more")
        .exits(1)
        .complains("No such container: before");
}
