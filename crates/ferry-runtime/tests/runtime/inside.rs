//! What a process inside sees.

use std::fs;

use ferry_runtime::{Root, profile};
use oci_spec::runtime::MountBuilder;

use super::{Test, fixture::Fixture};

pub(crate) const TESTS: &[Test] = &[
    ("only_the_standard_descriptors_are_open", only_standard_descriptors),
    ("namespaces_are_its_own", namespaces_are_its_own),
    ("capabilities_are_the_profile_s", capabilities_are_the_profiles),
    ("seccomp_filters", seccomp_filters),
    ("users_and_groups_are_resolved", users_and_groups_are_resolved),
    ("the_working_folder_is_made", the_working_folder_is_made),
    ("masks_and_write_protection_hold", masks_and_write_protection_hold),
    ("devices_are_usable", devices_are_usable),
    ("mounts_are_made", mounts_are_made),
    ("the_root_may_be_read_only", the_root_may_be_read_only),
    ("limits_are_set", limits_are_set),
    ("signals_are_as_by_default", signals_are_as_by_default),
    ("cgroups_are_joined_and_shown", cgroups_are_joined_and_shown),
    ("nothing_is_mounted_over_proc", nothing_is_mounted_over_proc),
    ("links_in_the_image_stay_inside", links_in_the_image_stay_inside),
    ("a_folder_can_be_the_root", a_folder_can_be_the_root),
];

fn check(fixture: &Fixture, script: &str, want: &str) {
    let (code, text) = fixture.shell(script).output(fixture);
    assert_eq!((code, text.as_str()), (0, want), "{script}");
}

fn only_standard_descriptors(fixture: &Fixture) {
    // ls itself has the folder open as 3.
    check(fixture, "ls /proc/1/fd; exec 2>&1; echo $$", "0\n1\n2\n1\n");
    let (_, text) = fixture.plan(&["ls", "/proc/self/fd"]).output(fixture);
    assert_eq!(text, "0\n1\n2\n3\n");
}

fn namespaces_are_its_own(fixture: &Fixture) {
    let plan = fixture.shell("hostname; ls -l /proc/self/ns | sed 's/.*-> //'; ls /sys/class/net");
    let (code, text) = plan.output(fixture);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with(&format!("{}\n", plan.launch.id)), "{text}");
    assert!(text.ends_with("\nlo\n"), "{text}");
    for kind in ["mnt", "pid", "ipc", "uts", "net"] {
        let mine = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(!text.contains(mine.to_str().unwrap()), "{kind} is shared");
    }
}

fn capabilities_are_the_profiles(fixture: &Fixture) {
    let script = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:' /proc/self/status";
    let none = "0000000000000000";
    let root = format!(
        "CapInh:\t{none}\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t{none}\nNoNewPrivs:\t0\nSeccomp:\t2\n"
    );
    check(fixture, script, &root);
    let app = format!(
        "CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t00000000a80425fb\nCapAmb:\t{none}\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    );
    let plan = fixture
        .shell(script)
        .with_input(|input| input.new_privileges = profile::NewPrivileges::Forbidden)
        .with(|launch| launch.user = "app".to_owned());
    assert_eq!(plan.output(fixture), (0, app));
}

fn seccomp_filters(fixture: &Fixture) {
    check(
        fixture,
        "unshare -m true 2>/dev/null; echo $?; mount -t tmpfs x /tmp 2>/dev/null; echo $?",
        "1\n1\n",
    );
}

fn users_and_groups_are_resolved(fixture: &Fixture) {
    let cases = [
        ("", "0 0 0 /root"),
        ("app", "1000 1000 10 1000 /home/app"),
        ("1000:10", "1000 10 10 /home/app"),
        ("4242", "4242 0 0 /"),
    ];
    for (user, want) in cases {
        let plan = fixture
            .shell("echo $(id -u) $(id -g) $(id -G | tr ' ' '\\n' | sort -n) $HOME; echo out >/dev/stdout")
            .with(|launch| launch.user = user.to_owned());
        assert_eq!(plan.output(fixture), (0, format!("{want}\nout\n")), "user {user:?}");
    }
}

fn the_working_folder_is_made(fixture: &Fixture) {
    let plan = fixture
        .shell("pwd; stat -c '%u %a' .")
        .with_input(|input| input.cwd = "/a/b/c".to_owned());
    assert_eq!(plan.output(fixture), (0, "/a/b/c\n0 755\n".to_owned()));
}

fn masks_and_write_protection_hold(fixture: &Fixture) {
    check(fixture, "cat /proc/keys /proc/timer_list; ls /sys/firmware", "");
    check(fixture, "stat -c %t:%T /proc/timer_list", "1:3\n");
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/sys/x",
        "/sys/fs/cgroup/x",
    ] {
        check(fixture, &format!("echo x 2>/dev/null >{path} || echo no"), "no\n");
    }
    check(fixture, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "0\n");
    check(
        fixture,
        "grep -c ' /proc ' /proc/mounts; grep ' / ' /proc/mounts | cut -d' ' -f3",
        "1\noverlay\n",
    );
}

fn devices_are_usable(fixture: &Fixture) {
    check(
        fixture,
        "head -c 5 /dev/zero | wc -c; echo x >/dev/null; head -c 3 /dev/urandom | wc -c",
        "5\n3\n",
    );
    check(
        fixture,
        "ls /dev",
        "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n",
    );
    check(
        fixture,
        "mknod /tmp/disk b 254 0; head -c 1 /tmp/disk 2>/dev/null || echo no",
        "no\n",
    );
    check(
        fixture,
        "stat -c '%a %F' /dev/shm /dev/null",
        "1777 directory\n666 character special file\n",
    );
}

fn mounts_are_made(fixture: &Fixture) {
    let plan = fixture.shell(
        "cat /data/file /conf/one; echo new >/data/new; echo no 2>/dev/null >/ro/new || echo ro; grep -c ' /scratch tmpfs rw,nosuid,nodev,noexec' /proc/mounts",
    );
    let data = plan.folder.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "content\n").unwrap();
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| {
        MountBuilder::default()
            .destination(destination)
            .typ(kind)
            .source(source)
            .options(options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
            .build()
            .unwrap()
    };
    let plan = plan.with(|launch| {
        let mut mounts = launch.spec.mounts().clone().unwrap();
        let (folder, file) = (data.to_str().unwrap(), data.join("file"));
        mounts.push(mount("/data", "bind", folder, &["rbind", "rprivate"]));
        mounts.push(mount("/ro", "bind", folder, &["rbind", "ro", "rprivate"]));
        mounts.push(mount("/conf/one", "bind", file.to_str().unwrap(), &["bind"]));
        mounts.push(mount(
            "/scratch",
            "tmpfs",
            "tmpfs",
            &["nosuid", "nodev", "noexec", "size=1m"],
        ));
        launch.spec.set_mounts(Some(mounts));
    });
    assert_eq!(plan.output(fixture), (0, "content\ncontent\nro\n1\n".to_owned()));
    assert_eq!(fs::read_to_string(data.join("new")).unwrap(), "new\n");

    let missing = fixture.plan(&["true"]).with(|launch| {
        let mut mounts = launch.spec.mounts().clone().unwrap();
        mounts.push(mount("/data", "bind", "/no/such/folder", &["rbind"]));
        launch.spec.set_mounts(Some(mounts));
    });
    let error = missing.launch(fixture).unwrap_err().to_string();
    assert_eq!(
        error,
        "mount source /no/such/folder for /data: no such file or directory"
    );
}

fn the_root_may_be_read_only(fixture: &Fixture) {
    let plan = fixture
        .shell("touch /x 2>/dev/null || echo ro; touch /dev/shm/x /dev/x && echo rw")
        .with_input(|input| input.root = profile::RootAccess::ReadOnly)
        .with(|launch| {
            let Root::Overlay(overlay) = &mut launch.root else {
                unreachable!()
            };
            overlay.read_only = true;
        });
    assert_eq!(plan.output(fixture), (0, "ro\nrw\n".to_owned()));
}

fn limits_are_set(fixture: &Fixture) {
    let plan = fixture.shell("ulimit -n; ulimit -Hn");
    let monitor = plan.launch(fixture).unwrap();
    let warned = monitor.warnings().len();
    let watch = monitor.watch().unwrap();
    monitor.start().unwrap();
    super::fixture::wait(watch);
    let mine = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let hard = if warned == 0 { profile::NOFILE.1 } else { mine.unwrap() };
    assert_eq!(plan.logged(), format!("1024\n{hard}\n"));
}

fn signals_are_as_by_default(fixture: &Fixture) {
    // No shell: busybox's ignores SIGQUIT by itself.
    let plan = fixture.plan(&["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
    let none = "0000000000000000";
    assert_eq!(plan.output(fixture), (0, format!("SigBlk:\t{none}\nSigIgn:\t{none}\n")));
}

fn cgroups_are_joined_and_shown(fixture: &Fixture) {
    let plan = fixture.shell("cat /proc/self/cgroup; ls /sys/fs/cgroup");
    let (code, text) = plan.output(fixture);
    assert_eq!(code, 0);
    let name = format!("/{}/{}", fixture.cgroups.path().as_str(), plan.launch.id);
    let memberships = text.lines().filter(|line| line.contains(':'));
    for line in memberships {
        assert!(line.ends_with(&name) || line.ends_with(":/"), "{line}");
    }
}

fn nothing_is_mounted_over_proc(fixture: &Fixture) {
    for destination in ["/proc/self", "/proc/sys", "/link/sys"] {
        let plan = fixture.plan(&["true"]);
        std::os::unix::fs::symlink("/proc", plan.folder.join("upper/link")).unwrap();
        let plan = plan.with(|launch| {
            let mut mounts = launch.spec.mounts().clone().unwrap();
            let mount = MountBuilder::default()
                .destination(destination)
                .typ("bind")
                .source("/tmp")
                .options(vec!["rbind".to_owned()])
                .build()
                .unwrap();
            mounts.push(mount);
            launch.spec.set_mounts(Some(mounts));
        });
        let error = plan.launch(fixture).unwrap_err().to_string();
        assert_eq!(error, format!("mount {destination}: nothing may be mounted over /proc"));
    }
    let plan = fixture.plan(&["true"]);
    std::os::unix::fs::symlink("/tmp", plan.folder.join("upper/proc")).unwrap();
    let error = plan.launch(fixture).unwrap_err().to_string();
    assert_eq!(error, "mount /proc: nothing may be mounted over /proc");
}

fn links_in_the_image_stay_inside(fixture: &Fixture) {
    let outside = fixture.lower().parent().unwrap().join("outside");
    let plan = fixture.plan(&["ls", "/"]);
    let upper = plan.folder.join("upper");
    std::os::unix::fs::symlink(&outside, upper.join("data")).unwrap();
    std::os::unix::fs::symlink("../../../../../../etc/escaped", upper.join("up")).unwrap();
    let plan = plan.with(|launch| {
        let mut mounts = launch.spec.mounts().clone().unwrap();
        for destination in ["/data/deep", "/up/deep"] {
            let mount = MountBuilder::default()
                .destination(destination)
                .typ("tmpfs")
                .source("tmpfs")
                .options(Vec::new())
                .build()
                .unwrap();
            mounts.push(mount);
        }
        launch.spec.set_mounts(Some(mounts));
    });
    assert_eq!(plan.run(fixture).code, 0);
    assert!(!outside.exists());
    assert!(!std::path::Path::new("/etc/escaped").exists());
    assert!(upper.join("etc/escaped/deep").is_dir());
}

fn a_folder_can_be_the_root(fixture: &Fixture) {
    let path = fixture.lower();
    for name in ["proc", "sys", "dev"] {
        let _ = fs::create_dir(path.join(name));
    }
    let plan = fixture
        .shell("touch /x 2>/dev/null || echo ro")
        .with(|launch| launch.root = Root::Directory { path, read_only: true });
    assert_eq!(plan.output(fixture), (0, "ro\n".to_owned()));
    for name in ["proc", "sys", "dev"] {
        let _ = fs::remove_dir(fixture.lower().join(name));
    }
}
