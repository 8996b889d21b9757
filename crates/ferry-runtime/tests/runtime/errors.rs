//! What cannot be started is said in Docker's words, and leaves nothing.

use std::{fs, os::unix::fs::PermissionsExt};

use ferry_runtime::{Error, StartError};

use super::{Test, fixture::Fixture};

pub(crate) const TESTS: &[Test] = &[
    ("programs_that_cannot_be_executed", programs_that_cannot_be_executed),
    ("a_launch_that_fails_leaves_nothing", a_launch_that_fails_leaves_nothing),
    (
        "the_working_folder_is_none_of_the_host_s",
        the_working_folder_is_none_of_the_hosts,
    ),
];

fn programs_that_cannot_be_executed(fixture: &Fixture) {
    let cases: &[(&str, u8, &str)] = &[
        ("ghost", 127, r#"exec: "ghost": executable file not found in $PATH"#),
        (
            "/ghost",
            127,
            r#"exec: "/ghost": stat /ghost: no such file or directory"#,
        ),
        ("/tmp", 126, r#"exec: "/tmp": is a directory"#),
        ("/data", 126, r#"exec: "/data": permission denied"#),
        ("/text", 126, r#"exec: "/text": exec format error"#),
        ("/orphan", 127, r#"exec: "/orphan": no such file or directory"#),
        (
            "/foreign",
            126,
            "exec /foreign: exec format error (the file is for ELF machine 2)",
        ),
    ];
    for (program, code, words) in cases {
        let plan = fixture.plan(&[program]);
        let upper = plan.folder.join("upper");
        let mut sparc = b"\x7fELF\x01\x02\x01".to_vec();
        sparc.resize(64, 0);
        sparc[16..20].copy_from_slice(&[0, 2, 0, 2]);
        let files: [(&str, u32, &[u8]); 4] = [
            ("data", 0o644, b"x"),
            ("text", 0o755, b"\x01nonsense"),
            ("orphan", 0o755, b"#!/no/such/interpreter\n"),
            ("foreign", 0o755, &sparc),
        ];
        for (name, mode, content) in files {
            fs::write(upper.join(name), content).unwrap();
            fs::set_permissions(upper.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let monitor = plan.launch(fixture).unwrap();
        let error = monitor.start().unwrap_err();
        assert_eq!(error.to_string(), *words);
        let Error::Start(error) = error else {
            panic!("{error:?}")
        };
        assert_eq!(error.exit_code(), *code, "{program}");
        if *program == "/foreign" {
            assert!(matches!(error, StartError::Foreign { elf_machine: 2, .. }));
        }
        assert!(!plan.launch.exit_record.exists());
        assert_eq!(fs::read_dir(&plan.launch.state_dir).unwrap().count(), 0);
    }
}

fn a_launch_that_fails_leaves_nothing(fixture: &Fixture) {
    let no_user = fixture.plan(&["true"]).with(|launch| launch.user = "ghost".to_owned());
    let no_root = fixture.plan(&["true"]).with(|launch| {
        launch.root = ferry_runtime::Root::Directory {
            path: "/no/such".into(),
            read_only: true,
        };
    });
    let no_args = fixture.plan(&[]);
    let cwd_is_a_file = fixture
        .plan(&["true"])
        .with_input(|input| input.cwd = "/etc/passwd".to_owned());
    for plan in [no_user, no_root, no_args] {
        let error = plan.launch(fixture).unwrap_err();
        assert!(matches!(error, Error::Launch(_)), "{error:?}");
        assert_eq!(fs::read_dir(&plan.launch.state_dir).unwrap().count(), 0, "{error}");
        fixture.assert_nothing_left();
    }
    let monitor = cwd_is_a_file.launch(fixture).unwrap();
    let error = monitor.start().unwrap_err().to_string();
    assert_eq!(
        error,
        r#"chdir to cwd ("/etc/passwd") set in config.json failed: not a directory"#
    );
}

/// Source: CVE-2024-21626.
fn the_working_folder_is_none_of_the_hosts(fixture: &Fixture) {
    for number in 3..40 {
        let cwd = format!("/proc/self/fd/{number}");
        let plan = fixture.plan(&["ls"]).with_input(|input| input.cwd = cwd.clone());
        let error = plan.launch(fixture).unwrap_err();
        assert!(
            matches!(error, Error::Launch(ferry_runtime::Fault::WorkingDir { .. })),
            "{error:?}"
        );
    }
    let plan = fixture.plan(&["ls"]).with_input(|input| input.cwd = "/link".to_owned());
    std::os::unix::fs::symlink("/proc/1/root", plan.folder.join("upper/link")).unwrap();
    assert!(plan.launch(fixture).is_err());
}
