//! The unmodified Docker CLI beside a Ferry: what people type, and what it prints.

use ferry_tests::{Engine, PLATFORMS, Registry, Shell, docker_client, eventually};

/// An engine with busybox, and a shell with the Docker CLI for it.
fn docker() -> Option<(Engine, Shell)> {
    let engine = Engine::with_busybox()?;
    let shell = docker_client(&engine)?;
    Some((engine, shell))
}

#[test]
fn the_client_knows_what_it_talks_to() {
    let Some((_engine, docker)) = docker() else { return };
    docker
        .sh("docker version -f '{{.Server.Platform.Name}} {{.Server.Os}} {{range .Server.Components}}{{.Name}} {{.Details.MinAPIVersion}}{{end}}'")
        .succeeds()
        .prints("Ferry linux Engine 1.24");
    docker.sh("docker version").succeeds().says("(minimum version 1.24)");
    docker
        .sh("docker info -f '{{.Containers}} {{.OSType}} {{.Images}}'")
        .prints("0 linux 1");
    docker.sh("docker buildx inspect").succeeds().says("linux/riscv64");
}

#[test]
fn containers_run_with_their_streams() {
    let Some((_engine, docker)) = docker() else { return };
    docker.sh("docker run --rm busybox echo hi").succeeds().prints("hi");
    docker
        .sh("docker run --rm busybox sh -c 'echo out; echo err >&2; exit 7'")
        .exits(7)
        .prints("out")
        .complains("err");
    docker
        .sh_with_input("docker run -i --rm busybox sort", b"b\na\n")
        .succeeds()
        .prints("a\nb");
    docker
        .sh("script -qec \"docker run --rm -t busybox sh -c 'test -t 0 && echo a terminal'\" /dev/null")
        .succeeds()
        .says("a terminal");
    docker
        .sh("docker run --rm busybox nothing-like-this")
        .exits(127)
        .complains("executable file not found");
    docker
        .sh("docker run --rm busybox /etc/passwd")
        .exits(126)
        .complains("permission denied");
    docker
        .sh("docker run --rm 127.0.0.1:1/none")
        .exits(125)
        .complains("Unable to find image");
    docker.sh("docker ps -aq").succeeds().prints("");
}

#[test]
fn containers_are_changed_restarted_and_checked() {
    let Some((_engine, docker)) = docker() else { return };
    docker
        .sh("docker run -d --name box -m 64m --memory-swap 128m --init --restart on-failure:3 --health-cmd true --health-interval 200ms busybox sleep 300")
        .succeeds();
    docker
        .sh("docker update -m 96m --cpus 0.5 --pids-limit 30 --restart unless-stopped box")
        .succeeds()
        .prints("box");
    docker
        .sh("docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Init}}' box")
        .succeeds()
        .prints("100663296 500000000 30 unless-stopped true");
    docker
        .sh("docker update -m 500m box")
        .exits(1)
        .complains("Memory limit should be smaller than already set memoryswap limit");
    eventually("it is healthy", || {
        let listed = docker.sh("docker ps --filter health=healthy --format '{{.Names}} {{.Status}}'");
        (listed.text().starts_with("box Up ") && listed.text().ends_with("(healthy)")).then_some(())
    });
    docker.sh("docker exec box kill -9 2");
    eventually("it runs again", || {
        let state = docker.sh("docker inspect -f '{{.RestartCount}} {{.State.Status}} {{.State.Health.Status}}' box");
        (state.text() == "1 running healthy").then_some(())
    });
    docker
        .sh("docker run -d --name loop --restart always busybox false")
        .succeeds();
    eventually("it waits", || {
        let listed = docker.sh("docker ps --filter status=restarting --format '{{.Names}} {{.Status}}'");
        listed.text().starts_with("loop Restarting (1) ").then_some(())
    });
    docker.sh("docker stop loop && docker rm loop").succeeds();
    docker
        .sh("docker run --rm --restart always busybox true")
        .exits(125)
        .complains("conflicting options: cannot specify both --restart and --rm");
    docker.sh("docker rm -f box").succeeds();
}

#[test]
fn containers_are_looked_into() {
    let Some((_engine, docker)) = docker() else { return };
    docker
        .sh("docker run -d --name it busybox sh -c 'echo made > /made; exec sleep 300'")
        .succeeds();
    docker.sh("docker pause it").succeeds().prints("it");
    docker.sh("docker ps").succeeds().says("(Paused)");
    docker.sh("docker exec it true").exits(1).complains("is paused");
    docker.sh("docker unpause it").succeeds().prints("it");
    docker.sh("docker top it").succeeds().says("sleep 300");
    docker.sh("docker top it -o pid,comm").succeeds().says("COMMAND");
    docker
        .sh("docker stats --no-stream --format '{{.Name}} {{.PIDs}}'")
        .succeeds()
        .prints("it 1");
    docker.sh("docker diff it").succeeds().says("A /made");
    docker.sh("docker export it | tar -xO made").succeeds().prints("made");
    docker
        .sh("docker commit -m remark -c 'CMD [\"cat\", \"/made\"]' it kept:1")
        .succeeds();
    docker.sh("docker run --rm kept:1").succeeds().prints("made");
    docker.sh("docker rm -f it").succeeds();
}

#[test]
fn containers_live_their_life() {
    let Some((_engine, docker)) = docker() else { return };
    let script = "echo started; trap \"exit 3\" TERM; while :; do sleep 0.1; done";
    docker
        .sh(&format!("docker run -d --name life -e A=b busybox sh -c '{script}'"))
        .succeeds();
    docker
        .sh("until docker logs life | grep started; do sleep 0.1; done")
        .succeeds();
    docker
        .sh("docker ps --format '{{.Names}} {{.Image}} {{.State}}'")
        .prints("life busybox running");
    docker
        .sh("docker exec life sh -c 'echo $A in exec; exit 9'")
        .exits(9)
        .prints("b in exec");
    docker
        .sh_with_input("docker exec -i life cat", b"through exec")
        .prints("through exec");
    docker.sh("docker exec -d life touch /made").succeeds();
    docker
        .sh("docker exec -w /tmp -e X=y life sh -c 'echo $X $PWD'")
        .prints("y /tmp");
    docker
        .sh("docker inspect -f '{{.State.Status}} {{.Config.Image}}' life")
        .prints("running busybox");
    docker.sh("docker stop life").succeeds().prints("life");
    docker.sh("docker ps -a --format '{{.Status}}'").says("Exited (3)");
    docker.sh("docker wait life").prints("3");
    docker
        .sh("docker start life && docker restart -t 1 life && docker kill life")
        .succeeds();
    docker.sh("docker rename life death && docker rm death").succeeds();
    docker
        .sh("docker rm death")
        .exits(1)
        .complains("No such container: death");
    docker
        .sh("docker create --name one busybox cat /etc/passwd && docker start -a one && docker rm one")
        .succeeds()
        .says("root:x:0:0");
}

#[test]
fn images_are_listed_named_and_carried() {
    let Some((engine, docker)) = docker() else { return };
    docker
        .sh("docker images --format '{{.Repository}}:{{.Tag}}'")
        .prints("busybox:latest");
    docker
        .sh("docker image inspect -f '{{.Os}} {{.Config.Cmd}}' busybox")
        .prints("linux [sh]");
    docker.sh("docker history busybox").succeeds().says("ADD root-");
    docker
        .sh("docker tag busybox other:1 && docker run --rm other:1 echo tagged")
        .prints("tagged");
    docker.sh("docker rmi other:1").succeeds().says("Untagged: other:1");
    docker.sh("docker rmi other:1").exits(1).complains("No such image");
    docker
        .sh("docker save -o b.tar busybox && docker rmi busybox && docker load -i b.tar && docker run --rm busybox echo loaded")
        .succeeds()
        .says("Loaded image: busybox:latest")
        .says("loaded");
    let Some(tar) = engine.busybox_tar("amd64").filter(|_| cfg!(target_arch = "x86_64")) else {
        return;
    };
    docker
        .sh(&format!("docker import {} imported:1", tar.display()))
        .succeeds();
    docker
        .sh("docker run --rm imported:1 /bin/echo imported")
        .prints("imported");
}

#[test]
fn images_are_pushed_and_pulled() {
    let Some((engine, docker)) = docker() else { return };
    let Some(registry) = Registry::start(engine.host()) else {
        return;
    };
    let Some(()) = engine.make_busybox_for(&PLATFORMS[..2]) else {
        return;
    };
    let name = format!("{}/boxes/busy:1", registry.address);
    let id = engine.digest("busybox");
    docker
        .sh(&format!("docker tag busybox {name} && docker push {name}"))
        .succeeds()
        .says(&format!("1: digest: {id}"));
    docker
        .sh(&format!("docker rmi {name} && docker pull {name}"))
        .succeeds()
        .says("Status: ")
        .says(&id);
    docker.sh("docker rmi busybox").succeeds();
    for platform in &PLATFORMS[..2] {
        docker
            .sh(&format!("docker run --rm --platform {} {name} uname -m", platform.name))
            .succeeds()
            .prints(platform.machine);
    }
    docker
        .sh(&format!("docker buildx imagetools inspect {name}"))
        .succeeds()
        .says("linux/arm64");
    docker
        .sh(&format!("docker pull {}/none", registry.address))
        .exits(1)
        .complains("not found");
}
