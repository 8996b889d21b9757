//! Input that nobody sane writes: it ends in an error or a result, never in a panic, and soon.

use ferry_build::dockerfile::Dockerfile;
use ferry_build::ignore::Ignore;

use crate::house::{House, is_root};

/// A small generator, so that a failure can be repeated: Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

const PIECES: &[&str] = &[
    "FROM ",
    "scratch",
    " AS ",
    "RUN ",
    "COPY ",
    "ADD ",
    "ENV ",
    "ARG ",
    "LABEL ",
    "ONBUILD ",
    "HEALTHCHECK ",
    "SHELL ",
    "EXPOSE ",
    "VOLUME ",
    "WORKDIR ",
    "USER ",
    "CMD ",
    "STOPSIGNAL ",
    "--from=",
    "--mount=",
    "--chown=",
    "--chmod=",
    "--platform=",
    "type=cache,",
    "target=/x",
    "\n",
    "\n",
    "\n",
    "\\\n",
    "\\",
    "`",
    "#",
    "# escape=`\n",
    "<<EOF",
    "<<-'E F'",
    "EOF\n",
    "$",
    "${",
    "}",
    "${a:-",
    "${a##*/}",
    "${a//x/",
    "\"",
    "'",
    "[",
    "]",
    "[\"a\",",
    "=",
    "a",
    "b=c",
    " ",
    "\t",
    "..",
    "/",
    "*",
    "**",
    "?",
    "é",
    "\u{feff}",
    "\0",
    "\r\n",
    "9999999999999999999",
    "-1",
    ":",
    "@sha256:",
    "|",
];

#[test]
fn no_dockerfile_panics() {
    let mut random = Random(1);
    for _ in 0..5_000 {
        let text: String = (0..random.below(40))
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        // Half of them begin well, so that the rest is reached.
        for text in [text.clone(), format!("FROM scratch\n{text}")] {
            if let Err(error) = Dockerfile::parse("Dockerfile", text.as_bytes()) {
                let lines = text.split('\n').count() as u32;
                assert!(error.source_lines.lines.first <= lines.max(1), "{text:?}");
                assert!(!error.to_string().is_empty());
                let _ = error.source_lines.snippet();
            }
        }
    }
}

#[test]
fn no_build_of_nonsense_panics() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.file("a", "1");
    let mut random = Random(2);
    for _ in 0..60 {
        let text: String = (0..random.below(12))
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        // Nothing may run: the runner of these tests knows only a few commands.
        let text = text.replace("RUN ", "LABEL ");
        let _ = house.build(&format!("FROM scratch\nARG a=x/y\n{text}\n"));
    }
}

#[test]
fn no_ignore_file_panics_or_takes_long() {
    let mut random = Random(3);
    for _ in 0..2_000 {
        let text: String = (0..random.below(20))
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        if let Ok(ignore) = Ignore::parse(&text) {
            let _ = ignore.excludes("a/b/é");
            let _ = ignore.may_keep_below("a");
        }
    }
    // What backtracking matchers need ages for.
    let ignore = Ignore::parse(&format!("{}b", "*a".repeat(2_000))).unwrap();
    assert!(!ignore.excludes(&"a".repeat(2_000)));
    let ignore = Ignore::parse(&"**/".repeat(100_000)).unwrap();
    assert!(ignore.excludes("a/b"));
}

#[test]
fn bounds() {
    let long = format!("FROM scratch\nENV a={}\n", "x".repeat(1 << 20));
    assert!(Dockerfile::parse("Dockerfile", long.as_bytes()).is_ok());
    assert!(Dockerfile::parse("Dockerfile", &vec![b' '; 17 << 20]).is_err());
    assert!(Dockerfile::parse("Dockerfile", b"FROM scratch\nRUN \xff\n").is_err());
    if !is_root() {
        return;
    }
    let house = House::new();
    house.file("a", "1");
    // Each line doubles the value.
    let mut doubling = String::from("FROM scratch\nENV a=xxxxxxxx\n");
    doubling.push_str(&"ENV a=$a$a\n".repeat(40));
    assert!(
        house
            .build(&doubling)
            .error()
            .to_string()
            .contains("the value grows beyond")
    );
    let deep = format!("FROM scratch\nCOPY a {}\n", "/d".repeat(2_000));
    assert!(
        house
            .build(&deep)
            .error()
            .to_string()
            .contains("nested more than 512 deep")
    );
    let mut folder = house.context().join("deep");
    for _ in 0..600 {
        folder.push("d");
    }
    std::fs::create_dir_all(&folder).unwrap();
    assert!(
        house
            .build("FROM scratch\nCOPY deep /\n")
            .error()
            .to_string()
            .contains("nested more than 512 deep")
    );
}

#[test]
fn what_is_no_file_or_directory_of_the_context() {
    if !is_root() {
        return;
    }
    let house = House::new();
    std::fs::create_dir(house.context().join("d")).unwrap();
    let fifo = house.context().join("d/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let socket = std::os::unix::net::UnixListener::bind(house.context().join("d/socket")).unwrap();
    let outcome = house.build("FROM scratch\nCOPY d /d\n");
    assert!(outcome.result.is_ok(), "{}", outcome.error());
    drop(socket);
}
