//! `images`, `tag`, `rmi`, `inspect`, `history`, `system df`.

use ferry_tests::Engine;

#[test]
fn names_are_added_and_removed() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry tag busybox one && ferry tag busybox registry.example:5000/two/three:v4")
        .succeeds();
    let listed = engine
        .sh("ferry images --format '{{.Repository}}:{{.Tag}}'")
        .succeeds()
        .text();
    for name in ["busybox:latest", "one:latest", "registry.example:5000/two/three:v4"] {
        assert!(listed.lines().any(|line| line == name), "{name} is not in\n{listed}");
    }
    assert_eq!(engine.digest("one"), engine.digest("busybox"));
    engine.sh("ferry rmi one").succeeds().says("Untagged: one:latest");
    engine.sh("ferry run --rm one true").exits(125);
    engine
        .sh("ferry rmi busybox registry.example:5000/two/three:v4")
        .succeeds()
        .says("Deleted: sha256:");
    engine.sh("ferry images -q").succeeds().prints("");
    engine.sh("ferry rmi busybox").exits(1).complains("busybox");
    engine.sh("ferry tag absent x").exits(1).complains("absent");
    engine.sh("ferry tag busybox Upper/Case").exits(1);
}

#[test]
fn an_image_is_found_by_its_digest() {
    let Some(engine) = Engine::with_busybox() else { return };
    let digest = engine.digest("busybox");
    let hex = digest.strip_prefix("sha256:").expect("a digest of SHA-256");
    for name in [digest.as_str(), hex, &hex[..12]] {
        engine
            .sh(&format!("ferry run --rm {name} echo found"))
            .succeeds()
            .prints("found");
        assert_eq!(engine.digest(name), digest);
    }
}

#[test]
fn an_image_in_use_stays() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --name user busybox sleep 300").succeeds();
    engine.sh("ferry rmi busybox").exits(1).complains("conflict");
    engine.sh("ferry exec user true").succeeds();
    engine.sh("ferry rm -f user && ferry rmi busybox").succeeds();
}

#[test]
fn history_and_inspect_tell_how_it_was_made() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN echo x >/x\nENV A=b\nCMD [\"true\"]\n",
    );
    engine.sh("ferry build -q -t app app").succeeds();
    let history = engine
        .sh("ferry history --no-trunc --format '{{.CreatedBy}}' app")
        .succeeds()
        .text();
    let positions: Vec<_> = ["CMD", "ENV A=b", "RUN", "ADD"]
        .iter()
        .map(|word| history.find(word))
        .collect();
    assert!(
        positions.iter().all(Option::is_some) && positions.is_sorted(),
        "{history}"
    );
    let seen = engine.sh("ferry inspect app").succeeds().json();
    let seen = &seen[0];
    assert_eq!(seen["RepoTags"][0], "app:latest");
    assert_eq!(seen["Os"], "linux");
    assert_eq!(seen["RootFS"]["Layers"].as_array().map(Vec::len), Some(2));
    assert!(
        seen["Architecture"].is_string() && seen["Size"].as_u64().is_some_and(|size| size > 100_000),
        "{seen}"
    );
    assert!(
        seen["Config"]["Env"]
            .as_array()
            .is_some_and(|variables| variables.iter().any(|variable| variable == "A=b"))
    );
}

#[test]
fn what_takes_room_is_told_and_what_nobody_uses_goes() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN --mount=type=cache,target=/cache echo x >/cache/note; head -c 3000000 /dev/urandom >/bulk\n",
    );
    engine.sh("ferry build -q -t app app").succeeds();
    engine
        .sh("ferry run --name ended app sh -c 'head -c 2000000 /dev/zero >/own'")
        .succeeds();
    engine.sh("ferry run -d --name runs busybox sleep 300").succeeds();
    engine.sh("ferry system df -v").succeeds().says("ended").says("regular");
    engine
        .sh("ferry system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'")
        .succeeds()
        .says("Images 2 2")
        .says("Containers 2 1");
    let size = engine
        .sh("ferry ps -as --filter name=ended --format '{{.Size}}'")
        .text();
    assert!(size.starts_with("2.0"), "{size}");
    engine.sh("ferry image prune -af").succeeds().does_not_say("deleted");
    engine
        .sh("ferry container prune -f --filter nosuch=1")
        .exits(1)
        .complains("nosuch");
    engine
        .sh("ferry container prune -f")
        .succeeds()
        .says("Total reclaimed space: 2.0");
    engine.sh("ferry ps -a --format '{{.Names}}'").succeeds().prints("runs");
    engine
        .sh("ferry image prune -af")
        .succeeds()
        .says("untagged: app:latest");
    engine
        .sh("ferry images --format '{{.Repository}}'")
        .succeeds()
        .prints("busybox");
    engine.sh("ferry builder prune -af").succeeds();
    engine.sh("ferry exec runs true").succeeds();
    engine
        .sh("ferry run --rm busybox echo still")
        .succeeds()
        .prints("still");
}

#[test]
fn content_that_nothing_names_is_given_back() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry system df").succeeds().says("Images");
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN head -c 3000000 /dev/urandom >/bulk\n",
    );
    engine.sh("ferry build -q -t app app").succeeds();
    let used = || {
        let size = engine
            .host()
            .sh(&format!("du -sk {}", engine.data_root().display()))
            .succeeds()
            .text();
        size.split_whitespace()
            .next()
            .and_then(|kb| kb.parse::<u64>().ok())
            .expect("du prints a number")
    };
    let full = used();
    engine.sh("ferry rmi app busybox").succeeds();
    engine.sh("ferry system prune -af").succeeds();
    let empty = used();
    assert!(full > 5_000 && empty < 1_000, "{full} kB before, {empty} kB after");
}
