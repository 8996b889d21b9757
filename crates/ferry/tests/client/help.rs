//! The help of the bare command: what people see first.

use crate::{Said, ferry};

#[test]
fn the_bare_command_lists_the_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&["--help"][..], &[]] {
        let said: Said = ferry(folder.path(), arguments).output().expect("runs").into();
        assert_eq!(said.code, Some(0));
        assert_eq!(said.out, include_str!("help.txt"));
    }
}

#[test]
fn switches_are_shown_as_people_write_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let said: Said = ferry(folder.path(), &["rm", "--help"]).output().expect("runs").into();
    assert!(said.out.contains("  -f, --force    Kill it if it runs"), "{}", said.out);
}

#[test]
fn mistakes_on_the_command_line_have_docker_s_status() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, code) in [
        (&["frobnicate"][..], 1),
        (&["ps", "--frobnicate"], 125),
        (&["run"], 125),
        (&["run", "--frobnicate", "busybox"], 125),
        (&["tag", "a"], 1),
        (&["image"], 0),
    ] {
        let said: Said = ferry(folder.path(), arguments).output().expect("runs").into();
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.err);
    }
}
