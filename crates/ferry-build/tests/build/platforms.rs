//! Several platforms at once: one graph, what is equal is done once.

use std::sync::atomic::Ordering;

use ferry_build::Form;

use crate::house::{House, file, is_root, lines};

const ALL: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/arm/v7"];

#[test]
fn each_platform_has_its_image_in_one_index() {
    if !is_root() {
        return;
    }
    let house = House::new();
    for platform in ALL {
        house.base("base", platform, &[file("arch", platform)], "{}");
    }
    let outcome = house.build_as("FROM base\nRUN platform /p\n", house.request(&ALL));
    let result = outcome.result.as_ref().unwrap();
    let platforms: Vec<String> = house
        .store
        .platforms(&result.target)
        .unwrap()
        .iter()
        .map(|entry| entry.platform.to_string())
        .collect();
    assert_eq!(platforms, ALL);
    assert_eq!(outcome.runs, 3);
    let vertices = outcome.vertices();
    assert!(
        vertices.contains_key("[linux/arm/v7 2/2] RUN platform /p"),
        "{:?}",
        vertices.keys()
    );
}

#[test]
fn a_stage_for_the_build_platform_runs_once() {
    if !is_root() {
        return;
    }
    let house = House::new();
    for platform in ALL {
        house.base("base", platform, &[file("arch", platform)], "{}");
    }
    let text = "FROM --platform=$BUILDPLATFORM base AS build\nRUN platform /p\nFROM base\nCOPY --from=build /p /\n";
    let outcome = house.build_as(text, house.request(&ALL));
    assert_eq!(outcome.runs, 1);
    assert_eq!(lines(&house.layer(&outcome, 0)), ["f 644 0:0 p=linux/amd64"]);
    // Once it looks at its target, it is another for each.
    let text = text.replace("AS build\n", "AS build\nARG TARGETARCH\n");
    let outcome = house.build_as(&text, house.request(&ALL));
    assert_eq!(outcome.runs, 3);
    let vertices = outcome.vertices();
    assert!(
        vertices.contains_key("[linux/amd64->arm/v7 build 2/2] RUN platform /p"),
        "{:?}",
        vertices.keys()
    );
}

#[test]
fn equal_copies_are_made_once() {
    if !is_root() {
        return;
    }
    let house = House::new();
    for platform in ALL {
        house.base("base", platform, &[file("arch", platform)], "{}");
    }
    house.file("a", "1");
    let outcome = house.build_as("FROM base\nCOPY a /new/a\n", house.request(&ALL));
    let copied = outcome
        .worked()
        .into_iter()
        .filter(|name| name.contains("COPY"))
        .count();
    assert_eq!(copied, 1);
}

#[test]
fn independent_stages_run_at_once_but_not_more_than_there_are_cores() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut text = String::new();
    for stage in 0..4 {
        // Each waits until as many run as there are cores, at most two.
        text.push_str(&format!(
            "FROM scratch AS s{stage}\nRUN meet {};write /{stage} x\n",
            cores.min(2)
        ));
    }
    text.push_str("FROM scratch\n");
    for stage in 0..4 {
        text.push_str(&format!("COPY --from=s{stage} /{stage} /\n"));
    }
    assert_eq!(house.build(&text).runs, 4);
    assert!(house.runner.most_at_once.load(Ordering::SeqCst) <= cores);
}

#[test]
fn unneeded_stages_are_left_alone() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let outcome = house.build("FROM nowhere AS unused\nRUN exit 1\nFROM scratch\nRUN write /a 1\n");
    assert_eq!(outcome.runs, 1);
}

#[test]
fn an_index_for_one_platform_on_request() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let mut request = house.request(&["linux/s390x"]);
    request.form = Form::Index;
    let result = house.build_as("FROM scratch\nLABEL a=b\n", request).result.unwrap();
    let entries = house.store.platforms(&result.target).unwrap();
    assert_eq!(entries.len(), 1);
    assert_ne!(result.target.digest(), result.images[0].manifest.digest());
}

#[test]
fn onbuild_triggers_may_need_stages_and_images() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base("tool", "linux/amd64", &[file("t", "1")], "{}");
    house.base(
        "base",
        "linux/amd64",
        &[file("b", "1")],
        r#"{"config":{"OnBuild":["COPY --from=tool /t /t","COPY --from=first /f /f"]}}"#,
    );
    let outcome = house.build("FROM scratch AS first\nRUN write /f 1\nFROM base\nRUN write /z 1\n");
    assert_eq!(outcome.config().rootfs.diff_ids.len(), 4);
    assert!(
        outcome.vertices().contains_key("[stage-1 3/4] COPY --from=first /f /f"),
        "{:?}",
        outcome.vertices().keys()
    );
}
