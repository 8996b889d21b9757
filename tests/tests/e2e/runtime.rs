//! `ferry runtime`: bundles by the OCI runtime command line, on the real kernel, and under Podman and Docker.

use std::fs;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;

use ferry_tests::{Finished, Host, docker_engine, eventually, has_program};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

/// A bundle with a busybox, `ferry runtime` on it, and one container's id.
struct Bundle {
    host: Rc<Host>,
    id: String,
}

impl Bundle {
    fn new(name: &str) -> Option<Bundle> {
        let host = Host::new()?;
        if !has_program("busybox") {
            return None;
        }
        host.sh("umask 022
            mkdir -p b/rootfs/bin b/rootfs/proc b/rootfs/sys b/rootfs/dev b/rootfs/etc b/rootfs/tmp b/rootfs/mnt
            cp $(command -v busybox) b/rootfs/bin/busybox
            for applet in $(busybox --list); do [ $applet = busybox ] || ln -s busybox b/rootfs/bin/$applet; done
            ln -s $(readlink -f bin/ferry) bin/ferry-runtime
            ferry runtime spec --bundle b")
            .succeeds();
        let id = format!("ferry-e2e-{name}-{}", std::process::id());
        let bundle = Bundle { host, id };
        bundle.config(|config| {
            config["process"]["terminal"] = json!(false);
            config["root"]["readonly"] = json!(false);
        });
        Some(bundle)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.path("b").join(name)
    }

    fn rootfs(&self, name: &str) -> String {
        self.path("rootfs").join(name).display().to_string()
    }

    /// Changes config.json.
    fn config(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(&path, config.to_string()).unwrap();
    }

    fn runs(&self, script: &str) {
        self.config(|config| config["process"]["args"] = json!(["sh", "-c", script]));
    }

    /// `ferry runtime VERB [FLAGS] ID`, where `verb` may end in what comes after the id behind ` | `.
    #[track_caller]
    fn runtime(&self, verb: &str) -> Finished {
        let (verb, after) = verb.split_once(" | ").unwrap_or((verb, ""));
        self.host
            .sh(&format!("ferry runtime --root run {verb} {} {after}", self.id))
    }

    #[track_caller]
    fn create(&self) -> Finished {
        // Its process has what it was given, which is not to be the test's own.
        self.runtime("create --bundle b --pid-file pid | >out 2>err; status=$?; cat err >&2; exit $status")
    }

    #[track_caller]
    fn run(&self) -> Finished {
        self.runtime("run --bundle b")
    }

    /// Runs `script` in a container of a changed config, whose base stays as it was.
    #[track_caller]
    fn sees(&self, change: impl FnOnce(&mut Value), script: &str) -> String {
        let before = fs::read(self.path("config.json")).unwrap();
        self.config(change);
        self.runs(script);
        let text = self.run().succeeds().text();
        fs::write(self.path("config.json"), before).unwrap();
        text
    }

    #[track_caller]
    fn status(&self) -> String {
        self.runtime("state").succeeds().json()["status"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        let left = self.host.sh(&format!(
            "ls run; find /sys/fs/cgroup -name {} ; grep {} /proc/self/mountinfo",
            self.id,
            self.host.path("b").display()
        ));
        assert_eq!(left.text().trim(), "");
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let line = format!("ferry runtime --root run delete --force {}", self.id);
        self.host.sh(&line);
    }
}

#[test]
fn a_containers_life() {
    let Some(bundle) = Bundle::new("life") else { return };
    bundle.runs("sleep 100");
    bundle.runtime("start").exits(1).complains("does not exist");
    bundle.runtime("state").exits(1).complains("does not exist");
    bundle.runtime("kill").exits(1).complains("does not exist");
    bundle.runtime("delete").exits(1).complains("does not exist");
    bundle.create().succeeds();
    let state = bundle.runtime("state").succeeds().json();
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], bundle.id.as_str());
    assert_eq!(state["bundle"], bundle.host.path("b").to_str().unwrap());
    let pid = fs::read_to_string(bundle.host.path("pid")).unwrap();
    assert_eq!(state["pid"].to_string(), pid);
    bundle.create().exits(1).complains("already exists");
    bundle.runtime("delete").exits(1).complains("it is created");
    // What is executed is what was there when it was created.
    bundle.runs("false");
    bundle.runtime("start").succeeds();
    assert_eq!(bundle.status(), "running");
    bundle.runtime("start").exits(1).complains("it is running");
    bundle.runtime("delete").exits(1).complains("it is running");
    bundle
        .runtime("ps --format json")
        .succeeds()
        .prints(&format!("[{pid}]"));
    bundle.runtime("exec | sh -c 'echo $$; exit 7'").exits(7).says("2");
    bundle
        .runtime("exec --user 7:8 --cwd /tmp --env A=b | sh -c 'id -u; id -g; pwd; echo $A'")
        .prints("7\n8\n/tmp\nb");
    bundle
        .runtime("exec | ghost")
        .exits(255)
        .complains("executable file not found in $PATH");
    bundle.runtime("pause").succeeds();
    assert_eq!(bundle.status(), "paused");
    bundle.runtime("resume").succeeds();
    bundle.runtime("kill | 0").exits(1).complains("unknown signal");
    bundle.runtime("kill | KILL").succeeds();
    eventually("the container has ended", || {
        (bundle.status() == "stopped").then_some(())
    });
    bundle.runtime("kill").exits(1).complains("container not running");
    bundle.runtime("start").exits(1).complains("it is stopped");
    bundle.runtime("delete").succeeds();
    // Without a process there is a container, and nothing to start.
    bundle.config(|config| drop(config.as_object_mut().unwrap().remove("process")));
    bundle.create().succeeds();
    bundle.runtime("start").exits(1).complains("process: is missing");
    eventually("the container has ended", || {
        (bundle.status() == "stopped").then_some(())
    });
    bundle.runtime("delete").succeeds();
    bundle.nothing_is_left();
}

#[test]
fn the_binary_is_a_runtime_by_its_name() {
    let Some(bundle) = Bundle::new("name") else { return };
    bundle.host.sh("ferry-runtime --version").succeeds().says("spec: 1.2.1");
    let features = bundle.host.sh("ferry-runtime features").succeeds().json();
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    bundle.runs("exit 3");
    let line = format!(
        "ferry-runtime --root run --log log --log-format json run -b b {}",
        bundle.id
    );
    bundle.host.sh(&line).exits(3);
    bundle
        .host
        .sh("ferry-runtime --root run --log log --log-format json state ghost")
        .exits(1);
    let log = fs::read_to_string(bundle.host.path("log")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(
        (last["level"].as_str(), last["msg"].as_str()),
        (Some("error"), Some("container does not exist: ghost"))
    );
    let line = format!("ferry-runtime --systemd-cgroup create -b b {}", bundle.id);
    bundle.host.sh(&line).exits(1).complains("cgroupfs");
}

#[test]
fn processes_are_as_the_spec_says() {
    let Some(bundle) = Bundle::new("process") else { return };
    let capabilities = bundle.sees(
        |config| {
            let process = &mut config["process"];
            process["user"] = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 63});
            process["capabilities"]["inheritable"] = json!(["CAP_KILL"]);
            process["capabilities"]["ambient"] = json!(["CAP_KILL"]);
            process["noNewPrivileges"] = json!(false);
            process["oomScoreAdj"] = json!(77);
            process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
            process["cwd"] = json!("/tmp/made");
        },
        "id -u; id -g; id -G; umask; pwd; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj
         sed -n 's/^\\(Cap...\\|NoNewPrivs\\):\\t*//p' /proc/self/status",
    );
    let want = "1000\n1001\n1001 5 6\n0077\n/tmp/made\n100\n200\n77\n0000000000000020\n0000000000000020\n\
                0000000000000020\n0000000020000420\n0000000000000020\n0";
    assert_eq!(capabilities.trim(), want);
    let treated = bundle.sees(
        |config| {
            config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
            config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
            config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
            config["linux"]["personality"] = json!({"domain": "LINUX32"});
        },
        "cut -d' ' -f19,41 /proc/self/stat; ionice -p $$; grep -c bind:0 /proc/self/numa_maps >/dev/null && echo bound; uname -m",
    );
    assert!(treated.starts_with("5 3\nidle"), "{treated}");
    assert!(treated.contains("bound\n"), "{treated}");
    assert!(
        std::env::consts::ARCH != "x86_64" || treated.contains("i686"),
        "{treated}"
    );
    for (member, value, word) in [
        ("apparmorProfile", json!("some"), "AppArmor"),
        ("selinuxLabel", json!("some"), "SELinux"),
    ] {
        let has_it = ["/sys/fs/selinux/enforce", "/sys/kernel/security/apparmor"].map(|path| fs::exists(path).unwrap());
        if has_it.contains(&true) {
            continue;
        }
        bundle.config(|config| config["process"][member] = value);
        bundle.create().exits(1).complains(word);
        bundle.config(|config| config["process"][member] = Value::Null);
    }
    bundle.nothing_is_left();
}

#[test]
fn namespaces_are_new_joined_or_shared() {
    let Some(bundle) = Bundle::new("namespaces") else {
        return;
    };
    let shifted = bundle.sees(
        |config| {
            config["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": "user"}));
            for map in ["uidMappings", "gidMappings"] {
                config["linux"][map] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
            }
        },
        "id -u; cat /proc/self/uid_map; mkdir /dev/shm/a /dev/b && echo made; echo x >/dev/null && echo null",
    );
    assert_eq!(
        shifted.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "100000", "65536", "made", "null"]
    );
    let clocks = bundle.sees(
        |config| {
            config["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": "time"}));
            config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000_000}});
        },
        "cut -d. -f1 /proc/uptime",
    );
    assert!(clocks.trim().parse::<u64>().unwrap() >= 1_000_000_000, "{clocks}");
    for (kind, file, flag) in [
        ("network", "net", "--net"),
        ("ipc", "ipc", "--ipc"),
        ("uts", "uts", "--uts"),
        ("pid", "pid", "--pid"),
        ("mount", "mnt", "--mount"),
        ("cgroup", "cgroup", "--cgroup"),
        ("time", "time", "--time"),
    ] {
        let other = bundle.host.start(&format!("unshare {flag} --fork sleep 1000"));
        let pid = other.pid().as_raw_nonzero();
        let path = match kind {
            "pid" | "time" => format!("/proc/{pid}/ns/{file}_for_children"),
            _ => format!("/proc/{pid}/ns/{file}"),
        };
        let own = fs::read_link(format!("/proc/thread-self/ns/{file}")).unwrap();
        eventually("the namespace is there", || {
            (fs::read_link(&path).is_ok_and(|link| link != own) && fs::metadata(&path).is_ok()).then_some(())
        });
        let theirs = fs::read_link(&path).unwrap();
        let seen = bundle.sees(
            |config| {
                let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
                namespaces.retain(|namespace| namespace["type"] != kind);
                namespaces.push(json!({"type": kind, "path": path}));
            },
            &format!("readlink /proc/self/ns/{file}"),
        );
        assert_eq!(seen.trim(), theirs.to_str().unwrap(), "{kind}");
        other.signal(rustix::process::Signal::KILL);
        other.finish();
    }
    let own = fs::read_link("/proc/thread-self/ns/ipc").unwrap();
    let shared = bundle.sees(
        |config| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "ipc");
        },
        "readlink /proc/self/ns/ipc",
    );
    assert_eq!(shared.trim(), own.to_str().unwrap());
    bundle.config(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "uts");
    });
    bundle.create().exits(1).complains("needs a uts namespace");
    bundle.nothing_is_left();
}

#[test]
fn a_root_has_its_mounts_devices_and_masks() {
    let Some(bundle) = Bundle::new("root") else { return };
    bundle
        .host
        .sh("echo secret >b/rootfs/secret; echo text >b/rootfs/fixed; mkdir b/rootfs/hidden; echo x >b/rootfs/hidden/x")
        .succeeds();
    fs::write(bundle.path("rootfs/etc/copied"), "copied\n").unwrap();
    let seen = bundle.sees(
        |config| {
            config["root"]["readonly"] = json!(true);
            config["linux"]["maskedPaths"] = json!(["/secret", "/hidden", "/absent"]);
            config["linux"]["readonlyPaths"] = json!(["/fixed"]);
            config["linux"]["devices"] = json!([
                {"path": "/dev/fuse9", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600, "uid": 5, "gid": 6},
                {"path": "/dev/pipe", "type": "p", "fileMode": 0o640}
            ]);
            config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.shmmax": "4096"});
            config["hostname"] = json!("named");
            config["domainname"] = json!("example.org");
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.push(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "noexec"]}));
            mounts.push(json!({"destination": "/mnt", "type": "bind", "source": "rootfs/bin", "options": ["bind", "ro", "idmap"],
                "uidMappings": [{"containerID": 0, "hostID": 7000, "size": 1000}],
                "gidMappings": [{"containerID": 0, "hostID": 7001, "size": 1000}]}));
            mounts.push(json!({"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}));
        },
        "touch /x 2>/dev/null || echo read-only
         cat /secret; ls /hidden
         echo y 2>/dev/null >/fixed || echo fixed
         stat -c '%t:%T %a %u %g' /dev/fuse9; stat -c '%F %a' /dev/pipe; cat /dev/fuse9 2>/dev/null || echo forbidden
         for device in null zero full random urandom tty; do [ -c /dev/$device ] || echo no $device; done
         for link in fd stdin stdout stderr ptmx; do readlink /dev/$link; done
         cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/kernel/domainname; hostname
         grep -c ' /tmp .*noexec.*size=1024k' /proc/mounts
         stat -c '%u %g' /mnt/busybox; cat /etc/copied",
    );
    let want = "read-only\nfixed\na:e5 600 5 6\nfifo 640\nforbidden\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n\
                /proc/self/fd/2\npts/ptmx\n1\n4096\nexample.org\nnamed\n1\n7000 7001\ncopied";
    assert_eq!(seen.trim(), want);
    let bare = bundle.sees(
        |config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
            mounts.push(json!({"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}));
        },
        "ls /dev | tr '\\n' ' '; cat /etc/copied",
    );
    assert_eq!(
        bare.trim(),
        "core fd full null ptmx random stderr stdin stdout tty urandom zero copied"
    );
    for (word, want) in [("shared", "shared:"), ("private", "private")] {
        let root = bundle.sees(
            |config| config["linux"]["rootfsPropagation"] = json!(word),
            "grep ' / / ' /proc/self/mountinfo || cat /proc/self/mountinfo",
        );
        assert_eq!(root.contains("shared:"), want == "shared:", "{root}");
    }
    bundle.nothing_is_left();
}

#[test]
fn a_hostile_root_leads_no_mount_outside() {
    let Some(bundle) = Bundle::new("hostile") else { return };
    let outside = bundle.host.path("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, bundle.path("rootfs/way")).unwrap();
    std::os::unix::fs::symlink("../../../../../..", bundle.path("rootfs/up")).unwrap();
    bundle.config(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        for destination in ["/way/in", "/up/up/in2"] {
            mounts.push(json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}));
        }
    });
    bundle.runs("cut -d' ' -f2 /proc/mounts | grep in");
    let inside = format!("{}/in", outside.display());
    let text = bundle.run().succeeds().text();
    assert!(text.contains(&inside) && text.contains("/in2"), "{text}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!fs::exists("/in2").unwrap());
    bundle.config(|config| {
        let mount = json!({"destination": "/proc/sys", "type": "tmpfs", "source": "tmpfs"});
        config["mounts"].as_array_mut().unwrap().push(mount);
    });
    bundle.create().exits(1).complains("nothing may be mounted over /proc");
    bundle.nothing_is_left();
}

#[test]
fn limits_hold_and_can_be_changed() {
    let Some(bundle) = Bundle::new("limits") else { return };
    bundle.config(|config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
        config["linux"]["resources"]["pids"] = json!({"limit": 20});
        config["linux"]["resources"]["cpu"] = json!({"shares": 512});
    });
    bundle.runs("sleep 100");
    bundle.create().succeeds();
    bundle.runtime("start").succeeds();
    let stats = bundle.runtime("events --stats").succeeds().json();
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 67_108_864);
    assert_eq!(stats["data"]["pids"]["limit"], 20);
    bundle.runtime("update --memory 96m --pids-limit 30").succeeds();
    fs::write(bundle.host.path("limits"), r#"{"cpu": {"shares": 256}}"#).unwrap();
    bundle.runtime("update --resources limits").succeeds();
    let stats = bundle.runtime("events --stats").succeeds().json();
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 100_663_296);
    assert_eq!(stats["data"]["pids"]["limit"], 30);
    bundle.runtime("update --memory lots").exits(1).complains("is no size");
    bundle.runtime("delete --force").succeeds();
    bundle.nothing_is_left();
}

fn hook(script: &str) -> Value {
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], "timeout": 20}])
}

#[test]
fn hooks_run_in_their_order_and_are_told_the_state() {
    let Some(bundle) = Bundle::new("hooks") else { return };
    let log = bundle.host.path("log").display().to_string();
    let root = bundle.rootfs("");
    bundle.config(|config| {
        let mut hooks = json!({});
        for stage in ["prestart", "createRuntime", "poststart", "poststop"] {
            hooks[stage] = hook(&format!("echo {stage} >>{log}; cat >>{log}; echo >>{log}"));
        }
        // Seen in the container, and not on the host.
        hooks["createContainer"] = hook(&format!("mount -t tmpfs none {root}/mnt && touch {root}/mnt/file"));
        hooks["startContainer"] = hook("cat >/tmp/started");
        config["hooks"] = hooks;
        config["annotations"] = json!({"a": "b"});
    });
    bundle.runs("ls /mnt; cat /tmp/started");
    let text = bundle.run().succeeds().text();
    let (file, state) = text.split_once('\n').unwrap();
    assert_eq!(file, "file");
    let state: Value = serde_json::from_str(state.trim()).unwrap();
    assert_eq!(
        (state["status"].as_str(), state["id"].as_str()),
        (Some("created"), Some(bundle.id.as_str()))
    );
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let stages: Vec<&str> = lines.iter().step_by(2).copied().collect();
    assert_eq!(stages, ["prestart", "createRuntime", "poststart", "poststop"]);
    let states: Vec<Value> = lines
        .iter()
        .skip(1)
        .step_by(2)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let statuses: Vec<&str> = states.iter().map(|state| state["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["created", "creating", "running", "stopped"]);
    assert!(states.iter().all(|state| state["annotations"]["a"] == "b"));
    assert_eq!(states[0]["bundle"], bundle.host.path("b").to_str().unwrap());
    bundle.nothing_is_left();
}

#[test]
fn hooks_that_fail_stop_what_has_not_begun() {
    let Some(bundle) = Bundle::new("failing") else { return };
    bundle.runs("echo ran");
    for stage in ["prestart", "createRuntime", "createContainer"] {
        bundle.config(|config| config["hooks"] = json!({stage: hook("echo no way; exit 3")}));
        bundle.create().exits(1).complains("exit status 3: no way");
        assert!(!fs::exists(bundle.host.path("pid")).unwrap());
        bundle.nothing_is_left();
    }
    bundle.config(|config| {
        config["hooks"] = json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]});
    });
    bundle.create().exits(1).complains("timeout of 1 s");
    bundle.nothing_is_left();
    bundle.config(|config| config["hooks"] = json!({"startContainer": hook("exit 4")}));
    bundle
        .run()
        .exits(1)
        .complains("startContainer hook")
        .does_not_say("ran");
    bundle.nothing_is_left();
    // After the fact they are no more than a warning.
    bundle.config(|config| config["hooks"] = json!({"poststart": hook("exit 5"), "poststop": hook("exit 6")}));
    bundle
        .run()
        .succeeds()
        .says("ran")
        .complains("exit status 5")
        .complains("exit status 6");
    bundle.nothing_is_left();
}

#[test]
fn a_create_that_fails_or_is_killed_leaves_nothing() {
    let Some(bundle) = Bundle::new("undone") else { return };
    bundle.runs("true");
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 5] = [
        ("mount source", |config| {
            let mount = json!({"destination": "/mnt", "type": "bind", "source": "/ghost", "options": ["bind"]});
            config["mounts"].as_array_mut().unwrap().push(mount);
        }),
        ("chdir to cwd", |config| config["process"]["cwd"] = json!("/bin/sh/x")),
        ("executable file not found", |config| {
            config["process"]["args"] = json!(["ghost"])
        }),
        ("namespace", |config| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
            namespaces.push(json!({"type": "network", "path": "/ghost"}));
        }),
        ("is no version 1", |config| config["ociVersion"] = json!("invalid")),
    ];
    let before = fs::read(bundle.path("config.json")).unwrap();
    for (words, change) in cases {
        bundle.config(change);
        bundle.create().exits(1).complains(words);
        bundle.nothing_is_left();
        fs::write(bundle.path("config.json"), &before).unwrap();
    }
    bundle.config(|config| config["hooks"] = json!({"createRuntime": hook("sleep 100")}));
    let making = bundle
        .host
        .start(&format!("ferry runtime --root run create -b b {}", bundle.id));
    eventually("the hook runs", || {
        let listed = bundle.runtime("ps --format json").text();
        listed.contains(|c: char| c.is_ascii_digit()).then_some(())
    });
    assert_eq!(bundle.status(), "creating");
    making.signal(rustix::process::Signal::KILL);
    making.finish();
    bundle.runtime("delete --force").succeeds();
    bundle.nothing_is_left();
}

/// Waits for the descriptor that is sent to a socket, with what comes along.
fn receive(connection: &UnixStream) -> (String, fs::File) {
    let mut text = [0; 65536];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [std::io::IoSliceMut::new(&mut text)];
    let message = recvmsg(connection, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let descriptor = control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .expect("a descriptor");
    let text = String::from_utf8_lossy(&text[..message.bytes]).into_owned();
    (text, fs::File::from(descriptor))
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    let Some(bundle) = Bundle::new("console") else { return };
    bundle.config(|config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({"height": 30, "width": 90});
    });
    bundle.runs("tty; stty size; [ -c /dev/console ] && echo console");
    bundle.create().exits(1).complains("--console-socket");
    let listener = UnixListener::bind(bundle.host.path("console")).unwrap();
    bundle.runtime("create --bundle b --console-socket console").succeeds();
    let (name, mut terminal) = receive(&listener.accept().unwrap().0);
    assert_eq!(name, "/dev/ptmx");
    bundle.runtime("start").succeeds();
    let mut said = Vec::new();
    // Ends in an error once nobody has the other side.
    let _ = terminal.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).replace('\r', "");
    assert_eq!(said.trim(), "/dev/pts/0\n30 90\nconsole");
    bundle.runtime("delete --force").succeeds();
}

#[test]
fn seccomp_answers_and_reports() {
    let Some(bundle) = Bundle::new("seccomp") else { return };
    let seen = bundle.sees(
        |config| {
            config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
                {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                    "args": [{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}]}]});
        },
        "mkdir /tmp/a 2>&1; kill -0 $$ 2>&1; kill -CONT $$ && echo sent; grep Seccomp: /proc/self/status",
    );
    assert!(seen.contains("/tmp/a': Permission denied"), "{seen}");
    assert!(
        seen.contains("Operation not permitted") || seen.contains("kill"),
        "{seen}"
    );
    assert!(seen.contains("sent\n") && seen.contains("Seccomp:\t2"), "{seen}");

    let listener = UnixListener::bind(bundle.host.path("notify")).unwrap();
    let path = bundle.host.path("notify").display().to_string();
    bundle.config(|config| {
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path,
            "listenerMetadata": "about it", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]});
    });
    bundle.runs("mkdir /tmp/b");
    bundle.create().succeeds();
    bundle.runtime("start").succeeds();
    let (state, descriptor) = receive(&listener.accept().unwrap().0);
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(
        (state["metadata"].as_str(), state["state"]["id"].as_str()),
        (Some("about it"), Some(bundle.id.as_str()))
    );
    // With nobody to answer the call fails, and the program ends.
    drop(descriptor);
    eventually("the program ends", || (bundle.status() == "stopped").then_some(()));
    bundle.runtime("delete").succeeds();
    bundle.nothing_is_left();
}

#[test]
fn nobody_inside_can_write_the_runtime() {
    let Some(bundle) = Bundle::new("own") else { return };
    bundle.runs("true");
    bundle.create().succeeds();
    let pid = fs::read_to_string(bundle.host.path("pid")).unwrap();
    bundle
        .host
        .sh(&format!(": >/proc/{pid}/exe"))
        .complains("Read-only file system");
    bundle.runtime("delete --force").succeeds();
}

#[test]
fn podman_uses_it() {
    let Some(bundle) = Bundle::new("podman") else { return };
    if !has_program("podman") {
        return;
    }
    let script = r#"
        mount --make-rprivate / && mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && mkdir -p /run/state /run/tmp
        export TMPDIR=/run/tmp PODMAN_IGNORE_CGROUPSV1_WARNING=1
        podman() { command podman --root /run/state/root --runroot /run/state/run --tmpdir /run/state/tmp \
            --cgroup-manager cgroupfs --events-backend none --storage-driver vfs --runtime $PWD/bin/ferry-runtime "$@"; }
        limits="--pull=never --network none --cgroup-parent /e2e-podman-$$ --ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
        trap 'find /sys/fs/cgroup -depth -type d -path "*e2e-podman-$$*" -exec rmdir {} +' EXIT
        set -e
        tar -C b/rootfs -c . | podman import -q - box >/dev/null
        podman run --rm $limits box echo ran
        podman run --rm $limits box sh -c 'exit 42' || echo $?
        podman run --rm $limits box ghost 2>/dev/null || echo $?
        podman run --rm $limits -t box tty
        podman run -d --name a $limits --read-only --tmpfs /scratch -e A=b box sleep 100 >/dev/null
        podman exec -u 7 -w /tmp a sh -c 'id -u; pwd; echo $A; touch /scratch/x && echo scratch; touch /x 2>/dev/null || echo read-only'
        podman pause a >/dev/null; podman inspect -f '{{.State.Status}}' a; podman unpause a >/dev/null
        podman kill a >/dev/null; podman wait a; podman rm a >/dev/null
    "#;
    bundle.host.file("podman.sh", script);
    let text = bundle
        .host
        .sh("unshare --mount sh podman.sh")
        .succeeds()
        .text()
        .replace('\r', "");
    let want = "ran\n42\n127\n/dev/pts/0\n7\n/tmp\nb\nscratch\nread-only\npaused\n137";
    assert_eq!(text.trim(), want);
}

#[test]
fn docker_uses_it() {
    let Some(bundle) = Bundle::new("docker") else { return };
    let Some(peers) = docker_engine() else { return };
    // Its root is another: the binary goes along.
    bundle
        .host
        .sh("mkdir share && cp -L bin/ferry share/ferry-runtime && tar -C b/rootfs -cf share/box.tar .")
        .succeeds();
    let script = r#"
        set -e
        docker import /share/box.tar box >/dev/null
        run="docker run --runtime ferry --ulimit nofile=1024:1024"
        $run --rm box sh -c 'echo ran; grep -c eth0 /proc/net/dev; sed -n "s/^CapEff:.//p" /proc/self/status'
        $run --rm box sh -c 'exit 42' || echo $?
        $run --rm box ghost 2>/dev/null || echo $?
        $run --rm -t box tty
        $run -d --name aa --memory 64m --read-only --tmpfs /scratch -e A=b box sleep 100 >/dev/null
        docker exec -u 7 -w /tmp aa sh -c 'id -u; pwd; echo $A; touch /scratch/x && echo scratch; touch /x 2>/dev/null || echo read-only'
        docker exec aa ghost >/dev/null 2>&1 || echo $?
        docker pause aa >/dev/null; docker inspect -f '{{.State.Status}}' aa; docker unpause aa >/dev/null
        docker update --memory 80m --memory-swap 160m aa >/dev/null
        docker kill aa >/dev/null; docker wait aa; docker rm aa >/dev/null
    "#;
    bundle.host.file("share/docker.sh", script);
    let share = bundle.host.path("share");
    let line = format!(
        "PEERS_SHARE={} PEERS_RUNTIME=/share/ferry-runtime {peers} with-docker sh /share/docker.sh",
        share.display()
    );
    let text = bundle.host.sh(&line).succeeds().text().replace('\r', "");
    let want = "ran\n1\n00000000a80425fb\n42\n127\n/dev/pts/0\n7\n/tmp\nb\nscratch\nread-only\n127\npaused\n137";
    assert_eq!(text.trim(), want);
}
