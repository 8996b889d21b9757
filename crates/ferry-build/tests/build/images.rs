//! The result: manifests, configs, histories, indexes.

use crate::house::{House, file, is_root, lines, platform};

const BASE: &str = r#"{"config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"history":[{"created_by":"base"}]}"#;

#[test]
fn a_config_on_a_base() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house
        .base("base", "linux/amd64", &[file("bin/sh", "x")], BASE)
        .file("a", "1");
    let outcome = house
        .build("FROM base\nLABEL l=1\nCOPY a /a\nWORKDIR /bin\nWORKDIR /new\nRUN write /b 2\nENTRYPOINT [\"/e\"]\n");
    let config = outcome.config();
    assert_eq!(config.architecture, "amd64");
    assert_eq!(config.created.as_deref(), Some("1980-01-02T00:00:00Z"));
    assert_eq!(config.config.entrypoint.as_deref().unwrap(), ["/e"]);
    assert_eq!(config.config.cmd, None);
    let history: Vec<(&str, bool)> = config
        .history
        .iter()
        .map(|step| (step.created_by.as_deref().unwrap(), step.empty_layer))
        .collect();
    assert_eq!(
        history,
        [
            ("base", false),
            ("LABEL l=1", true),
            ("COPY a /a # buildkit", false),
            ("WORKDIR /bin", true),
            ("WORKDIR /new", false),
            ("RUN /bin/sh -c write /b 2 # buildkit", false),
            ("ENTRYPOINT [\"/e\"]", true),
        ]
    );
    assert_eq!(config.rootfs.diff_ids.len(), 4);
    assert_eq!(lines(&house.layer(&outcome, 0)), ["f 644 0:0 b=2"]);
    assert_eq!(lines(&house.layer(&outcome, 1)), ["d 755 0:0 new"]);
    let result = outcome.result.as_ref().unwrap();
    let image = house.store.image(&result.target, &platform("linux/amd64")).unwrap();
    assert_eq!(image.id().unwrap(), result.images[0].image_id);
}

#[test]
fn layers_of_the_base_are_taken_as_they_are() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base("base", "linux/amd64", &[file("a", "x")], BASE);
    let outcome = house.build("FROM base\nLABEL a=b");
    let result = outcome.result.unwrap();
    let bytes = house
        .store
        .content()
        .read(&(result.target.digest().try_into().unwrap()), 1 << 20)
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let config = &result.images[0].config;
    let base = house.store.layers().compress(&config.rootfs.diff_ids[0]).unwrap();
    assert_eq!(manifest["layers"][0]["digest"], base.digest().to_string());
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
}

#[test]
fn labels_and_targets_of_the_request() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let mut request = house.request(&["linux/amd64"]);
    request.labels.insert("a".to_owned(), "request".to_owned());
    request.target = Some("FIRST".to_owned());
    let outcome = house.build_as(
        "FROM scratch AS first\nLABEL a=file b=file\nFROM scratch\nLABEL c=1",
        request,
    );
    let labels = &outcome.config().config.labels;
    assert_eq!(labels["a"], "request");
    assert_eq!(labels["b"], "file");
    assert!(!labels.contains_key("c"));
}

#[test]
fn a_base_without_history_gets_one() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base("base", "linux/amd64", &[file("a", "x")], "{}");
    let outcome = house.build("FROM base\nRUN write /b 1");
    let filled = |step: &&ferry_oci::History| !step.empty_layer;
    assert_eq!(outcome.config().history.iter().filter(filled).count(), 2);
}

#[test]
fn unused_build_args_and_undefined_variables_are_warned_of() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let mut request = house.request(&["linux/amd64"]);
    for name in ["used", "unused", "HTTP_PROXY"] {
        request.build_args.insert(name.to_owned(), "x".to_owned());
    }
    let outcome = house.build_as("FROM scratch\nARG used\nLABEL a=$nothing b=$used", request);
    let warnings = outcome.warnings();
    assert!(warnings.contains(&"One or more build-args [unused] were not consumed".to_owned()));
    assert!(warnings.contains(&"UndefinedVar: Usage of undefined variable '$nothing' (line 3)".to_owned()));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}
