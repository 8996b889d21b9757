//! Tables for whole plans: which vertices a Dockerfile becomes, for which platforms.

use super::*;
use crate::instruction::testing::base_image;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// Plans for `platforms`, with every image at hand; `tools` has ONBUILD triggers.
fn planned(text: &str, platforms: &[&str]) -> Plan {
    let file = Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap();
    let request = BuildRequest::new(platform("linux/amd64"));
    let platforms: Vec<Platform> = platforms.iter().map(|text| platform(text)).collect();
    let target = file.stages.len() - 1;
    let mut images = HashMap::new();
    let mut rounds = 0;
    loop {
        rounds += 1;
        assert!(rounds < 5, "planning ends");
        match plan(&file, &request, target, &platforms, &images) {
            Ok(Planned::Complete(plan)) => return *plan,
            Ok(Planned::Needs(needs)) => {
                for key in needs.into_keys() {
                    let mut config = ImageConfig::default();
                    config.config.working_dir = key.platform.to_string();
                    if key.reference.familiar() == "tools:latest" {
                        config.config.on_build = vec!["RUN trigger".to_owned()];
                    }
                    let image = base_image(key.reference.clone(), config);
                    images.insert(key, image);
                }
            }
            Err(error) => panic!("{}", error.fault),
        }
    }
}

/// The names of the vertices, digests of images left out.
fn names(text: &str, platforms: &[&str]) -> Vec<String> {
    planned(text, platforms)
        .graph
        .nodes
        .into_iter()
        .map(|node| node.name.split("@sha256:").next().unwrap().to_owned())
        .collect()
}

#[test]
fn one_stage_has_no_name() {
    let expect = [
        "[1/3] FROM docker.io/library/base:latest",
        "[2/3] WORKDIR /w",
        "[3/3] RUN make all",
    ];
    let text = "FROM base\nENV x=all\nWORKDIR /w\nRUN make $x\nCMD [\"a\"]\n";
    assert_eq!(names(text, &["linux/amd64"]), expect);
}

#[test]
fn several_stages_and_platforms_are_in_the_names() {
    let text =
        "FROM --platform=$BUILDPLATFORM base AS Build\nARG TARGETARCH\nRUN a\nFROM base\nCOPY --from=build /a /a\n";
    assert_eq!(
        names(text, &["linux/arm64"]),
        [
            "[linux/amd64 build 1/2] FROM docker.io/library/base:latest",
            "[linux/amd64->arm64 build 2/2] RUN a",
            "[stage-1 1/2] FROM docker.io/library/base:latest",
            "[stage-1 2/2] COPY --from=build /a /a",
        ]
    );
    let both = names(text, &["linux/amd64", "linux/arm64"]);
    assert_eq!(both.iter().filter(|name| name.contains("build 2/2")).count(), 2);
    // The base for the build's own platform is one vertex for both of its uses.
    assert_eq!(both.iter().filter(|name| name.contains("FROM")).count(), 2);
}

#[test]
fn what_is_equal_for_all_platforms_is_planned_once() {
    let text = "FROM --platform=$BUILDPLATFORM base AS build\nRUN a\nFROM base\nCOPY --from=build /a /a\n";
    let platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
    let plan = planned(text, &platforms);
    let runs = plan.graph.nodes.iter().filter(|node| matches!(node.op, Op::Run(_)));
    assert_eq!(runs.count(), 1);
    assert_eq!(plan.images.len(), 3);
    // On nothing, even the copies are.
    assert_eq!(
        names("FROM scratch\nCOPY a /\n", &platforms),
        ["[linux/amd64 1/1] COPY a /"]
    );
}

#[test]
fn stages_that_nobody_needs_are_left_out() {
    let text = "FROM one AS a\nRUN a\nFROM two AS b\nRUN b\nFROM scratch\nCOPY --from=0 /a /\n";
    assert!(!names(text, &["linux/amd64"]).iter().any(|name| name.contains("two")));
}

#[test]
fn triggers_count_as_steps_and_show_at_the_from() {
    let plan = planned("FROM scratch AS x\nFROM tools\nRUN own\n", &["linux/amd64"]);
    let names: Vec<&str> = plan.graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names[1..], ["[stage-1 2/3] RUN trigger", "[stage-1 3/3] RUN own"]);
    assert_eq!(plan.graph.nodes[1].source.lines, LineRange { first: 2, last: 2 });
}

#[test]
fn stages_on_stages_go_on_where_those_ended() {
    let plan = planned(
        "FROM scratch AS a\nARG v=1\nENV e=$v\nUSER u\nFROM a\nRUN $v $e\n",
        &["linux/amd64"],
    );
    let Op::Run(run) = &plan.graph.nodes[0].op else {
        panic!("a RUN");
    };
    assert_eq!(run.user, "u");
    assert!(run.env.contains(&"v=1".to_owned()) && run.env.contains(&"e=1".to_owned()));
    let history: Vec<_> = plan.images[0]
        .history
        .iter()
        .filter_map(|step| step.entry.created_by.clone())
        .collect();
    assert_eq!(
        history,
        ["ARG v=1", "ENV e=1", "USER u", "RUN |1 v=1 /bin/sh -c $v $e # buildkit"]
    );
}

#[test]
fn only_what_is_copied_is_asked_of_the_context() {
    let paths = |text: &str| -> Vec<String> { planned(text, &["linux/amd64"]).context_paths.into_iter().collect() };
    assert_eq!(paths("FROM scratch\nCOPY a ./b/../c d*/ /x/\n"), ["a", "c", "d*"]);
    assert_eq!(paths("FROM scratch\nCOPY . /x/\n"), [""]);
    assert_eq!(
        paths("FROM scratch AS a\nRUN x\nFROM scratch\nCOPY --from=a /y /\n"),
        Vec::<String>::new()
    );
    assert_eq!(paths("FROM scratch\nRUN --mount=target=/m,source=src x\n"), ["src"]);
    assert_eq!(paths("FROM scratch\nCOPY <<a /x\nb\na\n"), Vec::<String>::new());
}

#[test]
fn long_chains_of_stages_are_no_recursion() {
    let mut text = String::from("FROM base AS s0\n");
    for stage in 1..1_000 {
        text.push_str(&format!("FROM s{} AS s{stage}\n", stage - 1));
    }
    assert_eq!(planned(&text, &["linux/amd64"]).graph.nodes.len(), 1);
}
