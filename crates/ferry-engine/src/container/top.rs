//! Lists the processes of a container in the forms of `ps`, of what `/proc` says: no program is run.

use super::process::{HostFacts, ProcessFacts};
use super::{Container, Error};
use crate::Engine;

/// Processes as a table of texts. Source: Docker Engine API `ContainerTop`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessList {
    /// Heads of the columns.
    pub titles: Vec<String>,
    /// One row a process, by its id.
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// The processes of a container that runs; `ps_args` are the arguments of `ps` that say the columns,
    /// `-ef` if empty. Docker Engine API `ContainerTop`.
    pub async fn top_container(&self, wanted: &str, ps_args: &str) -> Result<ProcessList, Error> {
        let container = self.containers.find(wanted)?;
        let columns = parse(ps_args)?;
        container.monitor()?;
        let (engine, listed) = (self.clone(), container.clone());
        let list = tokio::task::spawn_blocking(move || engine.list_processes(&listed, &columns)).await??;
        self.events
            .send("container", "top", container.id.as_str(), container.attributes());
        Ok(list)
    }

    /// Blocking.
    fn list_processes(&self, container: &Container, columns: &[Shown]) -> Result<ProcessList, Error> {
        let pids = container.cgroup(self).procs().map_err(ferry_runtime::Error::from)?;
        let host = HostFacts::read();
        // One that ended meanwhile is left out.
        let all = pids
            .iter()
            .filter_map(|pid| ProcessFacts::read(pid.as_raw_nonzero().get()));
        let row = |process: ProcessFacts| columns.iter().map(|column| (column.show)(&process, &host)).collect();
        Ok(ProcessList {
            titles: columns.iter().map(|column| column.title.clone()).collect(),
            processes: all.map(row).collect(),
        })
    }
}

type Show = fn(&ProcessFacts, &HostFacts) -> String;

/// A column that was asked for.
#[derive(Debug, Clone)]
struct Shown {
    title: String,
    show: Show,
}

/// What `ps -o` knows as columns: names, head, text. Source: `ps(1)`, "STANDARD FORMAT SPECIFIERS".
const COLUMNS: &[(&[&str], &str, Show)] = &[
    (&["pid"], "PID", |process, _| process.pid.to_string()),
    (&["ppid"], "PPID", |process, _| process.parent.to_string()),
    (&["pgid", "pgrp"], "PGID", |process, _| process.group.to_string()),
    (&["sid", "sess", "session"], "SID", |process, _| {
        process.session.to_string()
    }),
    (&["user", "euser", "uname"], "USER", |process, host| {
        host.user(process.effective_uid)
    }),
    (&["ruser"], "RUSER", |process, host| host.user(process.uid)),
    (&["uid", "euid"], "UID", |process, _| process.effective_uid.to_string()),
    (&["ruid"], "RUID", |process, _| process.uid.to_string()),
    (&["gid", "egid"], "GID", |process, _| process.effective_gid.to_string()),
    (&["rgid"], "RGID", |process, _| process.gid.to_string()),
    (&["comm", "ucmd", "ucomm"], "COMMAND", |process, _| process.name.clone()),
    (&["cmd"], "CMD", |process, _| process.command()),
    (&["args", "command"], "COMMAND", |process, _| process.command()),
    (&["c"], "C", |process, host| {
        (process.cpu_permille(host) / 10).to_string()
    }),
    (&["pcpu", "%cpu"], "%CPU", |process, host| {
        tenths(process.cpu_permille(host))
    }),
    (&["pmem", "%mem"], "%MEM", |process, host| {
        tenths(process.memory_permille(host))
    }),
    (&["vsz", "vsize"], "VSZ", |process, _| {
        (process.virtual_bytes / 1024).to_string()
    }),
    (&["rss", "rssize", "rsz"], "RSS", |process, _| {
        process.resident_kb.to_string()
    }),
    (&["tty", "tname", "tt"], "TTY", |process, _| process.terminal()),
    (&["stat"], "STAT", |process, _| process.status()),
    (&["s", "state"], "S", |process, _| process.state.to_string()),
    (&["stime"], "STIME", |process, host| process.start_time(host)),
    (&["start_time", "bsdstart"], "START", |process, host| {
        process.start_time(host)
    }),
    (&["time", "cputime"], "TIME", |process, _| process.cpu_time()),
    (&["bsdtime"], "TIME", |process, _| process.short_cpu_time()),
    (&["etime"], "ELAPSED", |process, host| process.elapsed(host)),
    (&["etimes"], "ELAPSED", |process, host| {
        process.age_seconds(host).to_string()
    }),
    (&["ni", "nice"], "NI", |process, _| process.nice.to_string()),
    (&["pri"], "PRI", |process, _| (39 - process.priority).to_string()),
    (&["nlwp", "thcount"], "NLWP", |process, _| process.threads.to_string()),
];

const FULL: &str = "user=UID,pid,ppid,c,stime,tty,time,cmd";
const PLAIN: &str = "pid,tty,time,cmd";
const OF_BSD: &str = "pid,tty,stat,bsdtime=TIME,command";
const OF_USERS: &str = "user,pid,%cpu,%mem,vsz,rss,tty,stat,bsdstart,bsdtime,command";

/// The columns that arguments of `ps` ask for: `-e`, `-ef`, `aux`, `-o LIST` and the like.
fn parse(ps_args: &str) -> Result<Vec<Shown>, Error> {
    let refuse = |reason: &str| Error::InvalidOption {
        option: "ps_args",
        value: ps_args.chars().take(200).collect(),
        reason: reason.to_owned(),
    };
    let (mut standard, mut is_full) = (FULL, false);
    let mut lists: Vec<String> = Vec::new();
    let mut words = ps_args.split_whitespace();
    while let Some(word) = words.next() {
        let bare = word.trim_start_matches('-');
        let is_of = |letters: &str| !bare.is_empty() && bare.bytes().all(|letter| letters.as_bytes().contains(&letter));
        if let Some(list) = word.strip_prefix("--format=") {
            lists.push(list.to_owned());
        } else if word == "--format" {
            lists.push(
                words
                    .next()
                    .ok_or_else(|| refuse("a list of columns is missing"))?
                    .to_owned(),
            );
        } else if word.starts_with("--") {
            return Err(refuse(KNOWN));
        } else if word.starts_with('-') && is_of("eAf") {
            is_full |= bare.contains('f');
            standard = if is_full { FULL } else { PLAIN };
        } else if is_of("auxw") {
            standard = if bare.contains('u') { OF_USERS } else { OF_BSD };
        } else if let Some((before, list)) = bare.split_once('o')
            && before.bytes().all(|letter| b"aAefxw".contains(&letter))
        {
            let list = match list {
                "" => words.next().ok_or_else(|| refuse("a list of columns is missing"))?,
                list => list,
            };
            lists.push(list.to_owned());
        } else {
            return Err(refuse(KNOWN));
        }
    }
    if lists.is_empty() {
        lists.push(standard.to_owned());
    }
    let mut shown = Vec::new();
    for name in lists
        .iter()
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty())
    {
        let (name, title) = match name.split_once('=') {
            Some((name, title)) => (name, Some(title)),
            None => (name, None),
        };
        let found = COLUMNS.iter().find(|(names, ..)| names.contains(&name));
        let (_, usual, show) = found.ok_or_else(|| refuse(&format!("there is no column {name:?}; {KNOWN}")))?;
        shown.push(Shown {
            title: title.unwrap_or(usual).to_owned(),
            show: *show,
        });
    }
    if !shown.iter().any(|column| column.title == "PID") {
        return Err(refuse("Couldn't find PID field in ps output"));
    }
    Ok(shown)
}

const KNOWN: &str =
    "Ferry reads /proc itself and knows -e, -f, aux and -o with a list of usual columns, such as -o pid,user,args";

fn tenths(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_ps_name_columns() {
        let titles = |args: &str| match parse(args) {
            Ok(columns) => columns
                .into_iter()
                .map(|column| column.title)
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        };
        for args in ["", "-ef", "-f", "-A -f", "-f -e"] {
            assert_eq!(titles(args), "UID PID PPID C STIME TTY TIME CMD", "{args}");
        }
        assert_eq!(titles("-e"), "PID TTY TIME CMD");
        assert_eq!(titles("ax"), "PID TTY STAT TIME COMMAND");
        for args in ["aux", "-aux", "auxww"] {
            assert_eq!(
                titles(args),
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
                "{args}"
            );
        }
        for args in [
            "-o pid,comm",
            "-o pid -o comm",
            "-eo pid,comm",
            "o pid,comm",
            "-opid,comm",
            "--format=pid,comm",
        ] {
            assert_eq!(titles(args), "PID COMMAND", "{args}");
        }
        assert_eq!(titles("-o pid,args=WHAT"), "PID WHAT");
        for (args, reason) in [
            ("-o comm", "Couldn't find PID field in ps output"),
            ("-o pid,nosuch", "there is no column \"nosuch\""),
            ("-Z", "Ferry reads /proc itself"),
            ("--forest", "Ferry reads /proc itself"),
            ("-o", "a list of columns is missing"),
        ] {
            assert!(titles(args).contains(reason), "{args}: {}", titles(args));
        }
    }
}
