//! Containers of other CPUs.
//!
//! `FERRY_TEST_EMULATORS` is a folder with static emulators, `FERRY_TEST_BUSYBOX` one with a static
//! busybox for each CPU, unpacked from Debian's `busybox-static` below the architecture's Debian name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ferry_oci::cpu::{self, Cpu};
use ferry_runtime::{
    Error, Fault, Root, Signal, StartError,
    emulation::{Emulators, Support},
    profile,
};
use oci_spec::runtime::{LinuxPersonality, LinuxPersonalityDomain, MountBuilder};

use super::{
    Test,
    fixture::{Fixture, Plan, make_root, read_log, wait},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_foreign_program_is_named", a_foreign_program_is_named),
    ("every_cpu_runs_in_a_container", every_cpu_runs_in_a_container),
    (
        "an_emulated_container_is_like_another",
        an_emulated_container_is_like_another,
    ),
    (
        "an_emulated_container_shares_what_it_is_told",
        an_emulated_container_shares,
    ),
    ("an_exec_is_emulated_too", an_exec_is_emulated_too),
    (
        "a_privileged_container_gets_emulators_of_its_own",
        a_privileged_container_gets_its_own,
    ),
];

fn busybox(cpu: &Cpu) -> Option<PathBuf> {
    let root = PathBuf::from(std::env::var_os("FERRY_TEST_BUSYBOX")?).join(cpu.debian);
    ["usr/bin/busybox", "bin/busybox", "busybox"]
        .map(|path| root.join(path))
        .into_iter()
        .find(|path| path.exists())
}

/// Emulators and a busybox of a CPU that needs one; `None` is said aloud.
fn foreign(fixture: &Fixture) -> Option<&'static Cpu> {
    let directory = std::env::var_os("FERRY_TEST_EMULATORS").map(PathBuf::from);
    let emulators = Emulators::discover(directory.as_slice());
    let found = emulators
        .iter()
        .find(|entry| matches!(entry.support, Support::Emulated(_)) && busybox(entry.cpu).is_some())
        .map(|entry| entry.cpu);
    if found.is_none() {
        eprintln!("skipped: needs FERRY_TEST_EMULATORS and FERRY_TEST_BUSYBOX");
        return None;
    }
    match fixture.zygote.prepare_emulation(&emulators) {
        Ok(()) => found,
        Err(Error::Launch(Fault::Emulation { reason })) => {
            eprintln!("skipped: {reason}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Lets a container be of another CPU.
fn of(plan: Plan, cpu: &Cpu) -> Plan {
    let lower = plan.folder.join("lower");
    make_root(&lower, &busybox(cpu).unwrap());
    plan.with_input(|input| input.user_namespace = profile::UserNamespace::Emulation)
        .with(|launch| {
            let Root::Overlay(overlay) = &mut launch.root else {
                unreachable!()
            };
            overlay.lower = vec![lower];
            launch.emulate = Some(cpu.architecture.to_owned());
        })
}

fn a_foreign_program_is_named(fixture: &Fixture) {
    let Some(cpu) = foreign(fixture) else { return };
    let plan = of(fixture.plan(&["true"]), cpu).with(|launch| launch.emulate = None);
    let error = plan.launch(fixture).unwrap().start().unwrap_err();
    let Error::Start(StartError::Foreign { elf_machine, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(elf_machine, cpu.elf_machine);
}

fn every_cpu_runs_in_a_container(fixture: &Fixture) {
    if foreign(fixture).is_none() {
        return;
    }
    for cpu in cpu::ALL.iter().filter(|cpu| busybox(cpu).is_some()) {
        let plan = of(fixture.shell("uname -m"), cpu).with(|launch| {
            // Native programs for a narrower CPU are told apart by personality alone.
            if cpu.architecture == "386" {
                let mut personality = LinuxPersonality::default();
                personality.set_domain(LinuxPersonalityDomain::PerLinux32);
                let mut linux = launch.spec.linux().clone().unwrap();
                linux.set_personality(Some(personality));
                launch.spec.set_linux(Some(linux));
            }
        });
        assert_eq!(
            plan.output(fixture),
            (0, format!("{}\n", cpu.uname)),
            "{}",
            cpu.architecture
        );
    }
}

fn an_emulated_container_is_like_another(fixture: &Fixture) {
    let Some(cpu) = foreign(fixture) else { return };
    let checks = [
        ("ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 "),
        ("id -u; stat -c '%u %a' /tmp", "0\n0 755\n"),
        ("echo x >/dev/null; head -c 5 /dev/zero | wc -c", "5\n"),
        (
            "stat -c '%t:%T' /proc/timer_list; cat /proc/keys; ls /sys/firmware",
            "1:3\n",
        ),
        ("echo x 2>/dev/null >/proc/sys/kernel/hostname || echo no", "no\n"),
        ("grep CapBnd /proc/self/status", "CapBnd:\t00000000a80425fb\n"),
        ("chown 1000:1000 /tmp && stat -c %u:%g /tmp", "1000:1000\n"),
        (
            "mkdir -p /var/d && rmdir /var/d && rmdir /home/app && mv /usr/bin /usr/sbin; echo $?",
            "0\n",
        ),
        ("ls /sys/class/net", "lo\n"),
        ("ls /proc/sys/fs/binfmt_misc | wc -l", "0\n"),
        ("mount -t binfmt_misc x /tmp 2>/dev/null || echo no", "no\n"),
    ];
    for (script, want) in checks {
        let plan = of(fixture.shell(script), cpu);
        assert_eq!(plan.output(fixture), (0, want.to_owned()), "{script}");
    }
    let plan = of(
        fixture.shell("id -u; id -G; cat /data/file; echo x >/data/new; tty"),
        cpu,
    );
    let data = plan.folder.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "content\n").unwrap();
    std::os::unix::fs::chown(&data, Some(1000), Some(1000)).unwrap();
    let plan = plan.with(|launch| {
        launch.user = "app".to_owned();
        let mut mounts = launch.spec.mounts().clone().unwrap();
        let mount = MountBuilder::default()
            .destination("/data")
            .typ("bind")
            .source(&data)
            .options(vec!["rbind".to_owned(), "rprivate".to_owned()])
            .build()
            .unwrap();
        mounts.push(mount);
        launch.spec.set_mounts(Some(mounts));
    });
    let plan = plan.with(|launch| {
        launch.stdio.tty = Some(ferry_runtime::WindowSize { rows: 24, columns: 80 });
    });
    assert_eq!(plan.output(fixture).1, "1000\r\n1000 10\r\ncontent\r\n/dev/pts/0\r\n");
    assert_eq!(fs::read_to_string(data.join("new")).unwrap(), "x\n");
}

fn an_emulated_container_shares(fixture: &Fixture) {
    let Some(cpu) = foreign(fixture) else { return };
    let mine = fs::read_link("/proc/self/ns/net").unwrap();
    let plan = of(fixture.shell("readlink /proc/self/ns/net; ls -d /sys/class"), cpu)
        .with_input(|input| input.network = profile::Network::Host);
    let want = format!("{}\n/sys/class\n", mine.display());
    assert_eq!(plan.output(fixture), (0, want));

    // A native container's network, and another emulated one's.
    for host in [
        fixture.plan(&["sleep", "1000"]),
        of(fixture.plan(&["sleep", "1000"]), cpu),
    ] {
        let first = host.start(fixture);
        let path = PathBuf::from(format!("/proc/{}/ns/net", first.pid()));
        let want = format!("{}\n", fs::read_link(&path).unwrap().display());
        let plan = of(fixture.shell("readlink /proc/self/ns/net"), cpu)
            .with_input(|input| input.network = profile::Network::Path(path));
        assert_eq!(plan.output(fixture), (0, want));
        let watch = first.watch().unwrap();
        first.signal(Signal::KILL).unwrap();
        wait(watch);
    }

    // The host's processes and message queues.
    let plan = of(
        fixture.shell("readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc"),
        cpu,
    )
    .with(|launch| {
        use oci_spec::runtime::LinuxNamespaceType as Kind;
        let mut linux = launch.spec.linux().clone().unwrap();
        let mut namespaces = linux.namespaces().clone().unwrap();
        namespaces.retain(|namespace| !matches!(namespace.typ(), Kind::Pid | Kind::Ipc));
        linux.set_namespaces(Some(namespaces));
        launch.spec.set_linux(Some(linux));
    });
    let link = |kind: &str| fs::read_link(Path::new("/proc/self/ns").join(kind)).unwrap();
    let want = format!("{}\n{}\n", link("pid").display(), link("ipc").display());
    assert_eq!(plan.output(fixture), (0, want));
}

fn an_exec_is_emulated_too(fixture: &Fixture) {
    let Some(cpu) = foreign(fixture) else { return };
    let plan = of(fixture.plan(&["sleep", "1000"]), cpu);
    let monitor = plan.start(fixture);
    let exec = plan.exec("e1", &["uname", "-m"]);
    let handle = fixture.zygote.exec(&exec).unwrap();
    let watch = handle.watch().unwrap();
    handle.start().unwrap();
    assert_eq!(wait(watch).code, 0);
    let log = read_log(&plan.folder.join("e1/log"));
    assert_eq!(log[0].1, format!("{}\n", cpu.uname));
    let watch = monitor.watch().unwrap();
    monitor.signal(Signal::KILL).unwrap();
    wait(watch);
}

fn a_privileged_container_gets_its_own(fixture: &Fixture) {
    let Some(cpu) = foreign(fixture) else { return };
    let user_namespace = |input: &dyn Fn(&mut profile::ProfileInput)| {
        let plan = of(
            fixture.shell(
                "readlink /proc/self/ns/user; mount -t binfmt_misc x /tmp 2>/dev/null && echo -1 >/tmp/status; true",
            ),
            cpu,
        )
        .with_input(input);
        let plan = plan.with(|launch| launch.seccomp = None);
        plan.output(fixture).1
    };
    let shared = user_namespace(&|_| {});
    let own = user_namespace(&|input| input.confinement = profile::Confinement::Privileged);
    assert_ne!(shared, own);
    assert_eq!(user_namespace(&|_| {}), shared);
}
