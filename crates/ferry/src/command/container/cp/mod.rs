//! `ferry cp`: files between a container and this machine.

mod archive;
mod local;
mod path;

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use ferry_store::archive::Rename;
use http::HeaderMap;
use serde::Deserialize;

use self::local::Source;
use self::path::{asserts_directory, join, split_entry};
use super::path as endpoint;
use crate::command::Verb;
use crate::command::image::{import, save};
use crate::engine::Engine;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::size;
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry cp`.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Follow links in SOURCE to what they lead to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// In the container, files belong to the user that it runs as
    #[arg(short, long)]
    archive: bool,
    /// Do not say what was copied
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path here, or - for a tar on stdin
    #[arg(value_name = "SOURCE")]
    source: String,
    /// A path here, - for a tar on stdout, or CONTAINER:PATH
    #[arg(value_name = "DESTINATION")]
    destination: String,
}

impl Verb for Cp {
    const ABOUT: &'static str = "Copy files between a container and this machine";

    async fn run(self, invocation: &Invocation) -> Outcome {
        for (name, given) in [("source", &self.source), ("destination", &self.destination)] {
            if given.is_empty() {
                return Err(Failure::new(format!("{name} can not be empty")));
            }
        }
        let copied = match (split(&self.source), split(&self.destination)) {
            ((Some(_), _), (Some(_), _)) => Err(Failure::new("copying between containers is not supported")
                .hint("copy to this machine first, or: ferry cp A:PATH - | ferry cp - B:PATH")),
            ((None, _), (None, _)) => Err(Failure::new("must specify at least one container source")
                .hint("name the container's side as CONTAINER:PATH")),
            ((Some(container), path), (None, local)) => self.fetch(invocation.engine()?, container, path, local).await,
            ((None, local), (Some(container), path)) => self.send(invocation.engine()?, local, container, path).await,
        };
        copied.map(|()| ExitStatus::SUCCESS)
    }
}

impl Cp {
    async fn fetch(&self, engine: &Engine, container: &str, path: &str, local: &str) -> Result<(), Failure> {
        let destination = match local {
            "-" => {
                if terminal::stdout_is_one() {
                    return Err(Failure::new("an archive is not for a terminal").hint("redirect stdout to a file"));
                }
                None
            }
            local => Some(local::absolute(local)?),
        };
        destination.as_deref().map_or(Ok(()), local::check_destination)?;
        let (mut path, mut renamed) = (path.to_owned(), None);
        if self.follow_link
            && let Ok(stat) = stat(engine, container, &path).await
            && stat.is_link()
        {
            (path, renamed) = path::renamed(&path, &stat.link_from(&path));
        }
        let request = engine.get(endpoint(container, "archive")).query("path", &path);
        let answer = request.stream().await?;
        let stat = Stat::of(answer.headers())?;
        let Some(destination) = destination else {
            return save::write(answer.into_body(), None).await;
        };
        let target = local::Destination::find(&destination)?;
        let (folder, name) = place(stat.is_directory(), &target.path, target.kind)?;
        let rename = name.or(renamed).map(|to| Rename {
            from: stat.top(),
            to: to.into_bytes(),
        });
        let received = archive::receive(answer.into_body(), PathBuf::from(folder), rename).await?;
        self.report(received, &destination);
        Ok(())
    }

    async fn send(&self, engine: &Engine, local: &str, container: &str, path: &str) -> Result<(), Failure> {
        let (target, kind) = self.container_side(engine, container, path).await?;
        let request = |folder: &str, body| {
            engine
                .put(endpoint(container, "archive"))
                .query("path", folder)
                .query("noOverwriteDirNonDir", "true")
                .query_opt("copyUIDGID", self.archive.then_some("true"))
                .body("application/x-tar", body)
        };
        if local == "-" {
            if kind != Kind::Directory {
                return Err(Failure::new(format!(
                    "destination \"{container}:{path}\" must be a directory"
                )));
            }
            let body = import::file_body("-").await?;
            request(&target, body).status().await?;
            return Ok(());
        }
        let source = Source::find(&local::absolute(local)?, self.follow_link)?;
        let (folder, name) = place(source.is_directory, &target, kind)?;
        let top = name.unwrap_or_else(|| source.name.clone());
        let (sending, body) = archive::send(source, top);
        let sent = request(&folder, body).status().await;
        // A file that cannot be read is the cause, and what the engine makes of it is not.
        let bytes = sending.await.explain(|| "copying")?;
        sent?;
        self.report(bytes?, &format!("{container}:{target}"));
        Ok(())
    }

    /// Where in the container something is to go, and what is there.
    async fn container_side(&self, engine: &Engine, container: &str, path: &str) -> Result<(String, Kind), Failure> {
        let mut target = path.to_owned();
        let mut found = stat(engine, container, path).await;
        if let Ok(link) = &found
            && link.is_link()
        {
            target = link.link_from(path);
            found = stat(engine, container, &target).await;
        }
        let kind = match found {
            Ok(stat) if stat.is_device() => {
                return Err(Failure::new(format!(
                    "destination \"{container}:{path}\" must be a directory or a regular file: got a device"
                )));
            }
            Ok(stat) if stat.is_directory() => Kind::Directory,
            Ok(_) => Kind::Other,
            // The copy may succeed still, if there is a directory above it; if not, it says why.
            Err(_) => Kind::Missing,
        };
        Ok((target, kind))
    }

    fn report(&self, bytes: u64, destination: &str) {
        if !self.quiet && terminal::stdout_is_one() {
            let size = size::human(bytes);
            terminal::note(&format!("Successfully copied {size} to {destination}"));
        }
    }
}

/// What is at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Directory,
    Other,
}

/// The directory to extract to, and the new name of what is copied, where it gets one.
fn place(is_directory: bool, destination: &str, kind: Kind) -> Result<(String, Option<String>), Failure> {
    match kind {
        Kind::Directory => Ok((destination.to_owned(), None)),
        Kind::Other if is_directory => Err(Failure::new("cannot copy directory").hint(format!(
            "{destination} is a file: name a directory, or something that is not there"
        ))),
        Kind::Missing if !is_directory && asserts_directory(destination) => {
            Err(Failure::new("no such directory").hint(format!("{destination} is not there: make it first")))
        }
        Kind::Other | Kind::Missing => {
            let (folder, name) = split_entry(destination);
            Ok((folder, Some(name)))
        }
    }
}

/// Container and path; no container for a path of this machine. One with a colon needs `/` or `.` in front.
fn split(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once(':') {
        Some((container, path)) if !argument.starts_with(['/', '.']) => (Some(container), path),
        _ => (None, argument),
    }
}

/// What is at a path of a container. Source: Docker Engine API `ContainerArchiveInfo`.
#[derive(Debug, Deserialize)]
struct Stat {
    name: String,
    mode: u32,
    #[serde(rename = "linkTarget", default)]
    link_target: String,
}

impl Stat {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let malformed = || Failure::new("the engine did not say what is at the path");
        let header = headers.get("x-docker-container-path-stat").ok_or_else(malformed)?;
        let json = BASE64_STANDARD.decode(header.as_bytes()).map_err(|_| malformed())?;
        serde_json::from_slice(&json).map_err(|_| malformed())
    }

    // Bits of Go's file modes. Source: Go `io/fs`, `FileMode`.
    fn is_directory(&self) -> bool {
        self.mode & 1 << 31 != 0
    }

    fn is_link(&self) -> bool {
        self.mode & 1 << 27 != 0
    }

    fn is_device(&self) -> bool {
        self.mode & 1 << 26 != 0
    }

    /// The parts that all names in the archive begin with.
    fn top(&self) -> Vec<u8> {
        match self.name.as_str() {
            "/" | "." => Vec::new(),
            name => name.as_bytes().to_vec(),
        }
    }

    /// Where the link at `path` leads.
    fn link_from(&self, path: &str) -> String {
        if self.link_target.starts_with('/') {
            return self.link_target.clone();
        }
        join(&split_entry(path).0, &self.link_target)
    }
}

async fn stat(engine: &Engine, container: &str, path: &str) -> Result<Stat, Failure> {
    let request = engine.head(endpoint(container, "archive")).query("path", path);
    let answer = request.stream().await.map_err(Failure::from)?;
    Stat::of(answer.headers())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_as_docker_does() {
        for (argument, expected) in [
            ("c:/etc", (Some("c"), "/etc")),
            ("c:", (Some("c"), "")),
            ("c:a:b", (Some("c"), "a:b")),
            ("/a:b", (None, "/a:b")),
            ("./a:b", (None, "./a:b")),
            ("a", (None, "a")),
            ("-", (None, "-")),
        ] {
            assert_eq!(split(argument), expected, "{argument}");
        }
    }

    #[test]
    fn what_is_copied_goes_where_docker_puts_it() {
        let check =
            |is_directory: bool, destination: &str, kind: Kind, expected: Result<(&str, Option<&str>), &str>| {
                let placed = place(is_directory, destination, kind);
                let placed = placed.as_ref().map(|(folder, name)| (folder.as_str(), name.as_deref()));
                assert_eq!(
                    placed.map_err(Failure::message),
                    expected,
                    "{is_directory} {destination} {kind:?}"
                );
            };
        check(false, "/d", Kind::Directory, Ok(("/d", None)));
        check(true, "/d/", Kind::Directory, Ok(("/d/", None)));
        check(true, "/f", Kind::Other, Err("cannot copy directory"));
        check(false, "/d/f", Kind::Other, Ok(("/d", Some("f"))));
        check(true, "/d/new", Kind::Missing, Ok(("/d", Some("new"))));
        check(true, "/d/new/", Kind::Missing, Ok(("/d", Some("new"))));
        check(false, "/d/new/", Kind::Missing, Err("no such directory"));
        check(false, "/d/new", Kind::Missing, Ok(("/d", Some("new"))));
    }
}
