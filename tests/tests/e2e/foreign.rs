//! Foreign CPUs with nothing to set up, and what is said where an emulator is missing.

use ferry_tests::{Emulators, Engine, Host, PLATFORMS, Setup, host_platform};

#[test]
fn each_cpu_runs_and_nothing_is_registered_or_seen() {
    let Some(engine) = Engine::start() else { return };
    let registered = "ls /proc/sys/fs/binfmt_misc 2>/dev/null";
    let before = engine.host().sh(registered).text();
    if engine.make_busybox_for(&PLATFORMS).is_none() {
        return;
    }
    for platform in PLATFORMS {
        let run = format!("ferry run --rm --platform {}", platform.name);
        engine
            .sh(&format!("{run} busybox uname -m"))
            .succeeds()
            .prints(platform.machine);
        engine
            .sh(&format!("{run} busybox sh -c 'echo a | sed s/a/b/; exit 3'"))
            .exits(3)
            .prints("b");
        engine.sh(&format!("{run} busybox sh -c 'ls -A /proc/sys/fs/binfmt_misc; ls / /bin /usr/bin /usr/libexec 2>/dev/null | grep -i qemu; env | grep -i qemu; cat /proc/mounts | grep -iE \"qemu|binfmt\"'")).exits(1).prints("");
        engine
            .sh(&format!(
                "{run} -u 1000 -w /tmp -e A=b busybox sh -c 'echo $(id -u) $(pwd) $A'"
            ))
            .succeeds()
            .prints("1000 /tmp b");
        // argv[0] is kept: busybox finds its applets by it.
        engine
            .sh(&format!("{run} --entrypoint /bin/echo busybox kept"))
            .succeeds()
            .prints("kept");
        engine.sh(&format!("{run} busybox no-such-command")).exits(127);
    }
    engine.host().sh(registered).prints(&before);
}

#[test]
fn a_foreign_container_lives_like_any_other() {
    let Some(engine) = Engine::start() else { return };
    if engine.make_busybox_for(&PLATFORMS[..3]).is_none() {
        return;
    }
    engine
        .sh("ferry run -d --name far --platform linux/arm64 busybox sh -c 'echo up; exec sleep 300'")
        .succeeds();
    engine.sh("ferry exec far uname -m").succeeds().prints("aarch64");
    engine
        .shell()
        .sh_with_input("ferry exec -i far cat", b"typed")
        .succeeds()
        .prints("typed");
    engine
        .sh("ferry exec far sh -c 'grep CapBnd /proc/self/status | cut -f2'")
        .succeeds()
        .prints("00000000a80425fb");
    engine.sh("ferry exec far sh -c 'touch /tmp/x && chown 12:34 /tmp/x && stat -c %u:%g /tmp/x && rmdir /var && mv /tmp/x /etc/x'").succeeds();
    let gateway = engine
        .sh("ferry inspect -f '{{.NetworkSettings.Networks.bridge.Gateway}}' far")
        .succeeds()
        .text();
    engine
        .sh(&format!("ferry exec far ping -c 1 -W 5 {gateway}"))
        .succeeds();
    engine
        .sh("ferry run --rm --platform linux/arm64 --network none busybox ls /sys/class/net")
        .succeeds()
        .prints("lo");
    engine
        .sh("ferry run --rm --platform linux/arm64 --network host busybox ls /sys/class/net")
        .succeeds()
        .says("lo");
    engine
        .sh("ferry run --rm --platform linux/arm/v7 -v $PWD:/here:ro busybox ls -d /here")
        .succeeds()
        .prints("/here");
    engine.sh("ferry kill far && ferry wait far").succeeds().says("137");
    engine.sh("ferry logs far").succeeds().prints("up");
    engine
        .sh("ferry inspect -f '{{.Platform}}' far")
        .succeeds()
        .says("linux");
}

/// Tries all it can on the programs of init and of a sibling, from a child: qemu shows a guest `/proc/self/exe` and
/// `/proc/<own pid>/exe` as the guest's own program, which lies in the container and which it may write.
const TAMPER: &str = r#"
sleep 300 & sibling=$!
(for victim in /proc/1/exe /proc/$sibling/exe; do
	case $(readlink $victim) in
	/memfd:*)
		chmod 4755 $victim 2>/dev/null && echo "changed the mode of $victim"
		chown 1000 $victim 2>/dev/null && echo "changed the owner of $victim"
		touch -c -d @0 $victim 2>/dev/null && echo "changed the times of $victim"
		;;
	esac
	(echo x >>$victim) 2>/dev/null && echo "appended to $victim"
	(echo x >$victim) 2>/dev/null && echo "overwrote $victim"
	(: 1<>$victim && echo x 1<>$victim) 2>/dev/null && echo "wrote into $victim"
	truncate -s 0 $victim 2>/dev/null && echo "truncated $victim"
	dd if=/dev/zero of=$victim bs=1 count=1 conv=notrunc 2>/dev/null && echo "patched $victim"
	rm -f $victim 2>/dev/null && echo "removed $victim"
done)
kill $sibling"#;

#[test]
fn the_emulator_cannot_be_written_from_inside() {
    let Some(engine) = Engine::start() else { return };
    if engine.make_busybox_for(&PLATFORMS[..2]).is_none() {
        return;
    }
    for platform in &PLATFORMS[..2] {
        engine
            .sh(&format!(
                "ferry run -d --name box --platform {} busybox sh -c 'while :; do sleep 1; done'",
                platform.name
            ))
            .succeeds();
        let program = format!("/proc/{}/exe", engine.init_of("box").pid.as_raw_nonzero());
        let of_host = engine.host().sh(&format!("readlink {program}")).succeeds().text();
        assert_eq!(
            of_host.contains("memfd:"),
            *platform != host_platform(),
            "{} is run by {of_host}",
            platform.name
        );
        let fingerprint = format!("sha256sum <{program} && stat -L -c '%s %i %a %u:%g %Y' {program}");
        let before = engine.host().sh(&fingerprint).succeeds().text();
        engine
            .sh(&format!("ferry exec box sh -c '{TAMPER}'"))
            .succeeds()
            .prints("");
        engine.host().sh(&fingerprint).succeeds().prints(&before);
        for run in [
            "ferry exec box".to_owned(),
            format!("ferry run --rm --platform {} busybox", platform.name),
        ] {
            engine
                .sh(&format!("{run} uname -m"))
                .succeeds()
                .prints(platform.machine);
        }
        engine.sh("ferry rm -f box").succeeds();
    }
}

#[test]
fn each_cpu_is_listed_with_how_it_runs() {
    let Some(engine) = Engine::start() else { return };
    let listed = engine.sh("ferry platform ls").succeeds().text();
    for platform in PLATFORMS {
        let row = listed
            .lines()
            .find(|line| line.split_whitespace().next() == Some(platform.name));
        let row = row.unwrap_or_else(|| panic!("{} is not listed:\n{listed}", platform.name));
        let how = if platform == host_platform() {
            "native"
        } else {
            "emulated"
        };
        assert!(row.contains(how) || platform.name == "linux/386", "{row}");
    }
}

#[test]
fn a_missing_emulator_is_named_with_the_package_to_install() {
    let Some(host) = Host::new() else { return };
    let engine = Engine::set_up(
        &host,
        Setup {
            emulators: Emulators::None,
            ..Setup::default()
        },
    );
    if engine.make_busybox_for(&PLATFORMS[..2]).is_none() {
        return;
    }
    engine
        .sh("ferry run --rm --platform linux/arm64 busybox uname -m")
        .exits(125)
        .complains("linux/arm64")
        .complains("AArch64")
        .complains("qemu-user");
    engine.file("app/Dockerfile", "FROM busybox\nRUN uname -m\n");
    engine
        .sh("ferry build --platform linux/arm64 -t app app")
        .exits(1)
        .complains("linux/arm64")
        .complains("qemu-user");
    engine
        .sh("ferry platform ls")
        .succeeds()
        .says("missing")
        .says("qemu-user");
    engine.sh("ferry run --rm busybox true").succeeds();
}
