//! Kills a process at one of its steps: just when it is about to enter its n-th system call of a kind. strace's fault injection does it,
//! so that nothing of the tests is in the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::eventually;
use crate::process::Process;

/// The system calls that leave something behind, on disk, in the kernel, or with another process.
const STEPS: &str = "mkdir,mkdirat,rename,renameat,renameat2,fsync,fdatasync,syncfs,unlink,unlinkat,rmdir,symlink,symlinkat,\
	link,linkat,write,pwrite64,sendmsg,sendto,clone,clone3,fork,vfork,setns,unshare,open_tree,fsmount,move_mount,mount_setattr,mount,\
	umount2,pivot_root,bind,connect,execve,execveat,kill,pidfd_send_signal,mknodat,sethostname,exit_group";

/// How long strace gets to let go of what it follows.
const PATIENCE: Duration = Duration::from_millis(500);

/// One step: a system call, and which of a thread's calls of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The system call.
    pub call: String,
    /// 1 for the first.
    pub number: usize,
}

/// strace, which follows a process and what it starts.
#[derive(Debug)]
pub struct Tracer {
    strace: Child,
    trace: PathBuf,
}

impl Tracer {
    /// Records the steps of `processes`, in a file named so.
    #[track_caller]
    pub fn record(processes: &[Process], trace: PathBuf) -> Self {
        Self::attach(processes, trace, &["-e".to_owned(), format!("trace={}", known(STEPS))])
    }

    /// Kills the one of `processes`, or of what they start, that gets to `step` first.
    #[track_caller]
    pub fn kill_at(processes: &[Process], trace: PathBuf, step: &Step) -> Self {
        let Step { call, number } = step;
        let injection = format!("inject={call}:signal=KILL:when={number}");
        Self::attach(
            processes,
            trace,
            &["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), injection],
        )
    }

    #[track_caller]
    fn attach(processes: &[Process], trace: PathBuf, arguments: &[String]) -> Self {
        let _ = fs::remove_file(&trace);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o"]).arg(&trace).args(arguments);
        for process in processes {
            strace.arg("-p").arg(process.pid.as_raw_nonzero().to_string());
        }
        let strace = strace
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace can be run");
        let tracer = strace.id();
        let is_traced = |process: &Process| {
            let status =
                fs::read_to_string(format!("/proc/{}/status", process.pid.as_raw_nonzero())).unwrap_or_default();
            let by = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            by.is_some_and(|by| by.trim() == tracer.to_string())
        };
        eventually("strace is attached", || processes.iter().all(is_traced).then_some(()));
        Self { strace, trace }
    }

    /// Lets go, and says whether anybody was killed.
    pub fn has_killed(self) -> bool {
        self.end().contains("killed by SIGKILL")
    }

    /// Lets go, and says which steps were seen.
    pub fn steps(self) -> Vec<Step> {
        let text = self.end();
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for line in text.lines() {
            let Some((thread, rest)) = line.split_once(' ') else {
                continue;
            };
            let Some((call, _)) = rest.trim_start().split_once('(') else {
                continue;
            };
            *counts.entry((call, thread)).or_default() += 1;
        }
        let mut most: BTreeMap<&str, usize> = BTreeMap::new();
        for ((call, _), count) in counts {
            let known = most.entry(call).or_default();
            *known = count.max(*known);
        }
        let is_word = |call: &str| {
            call.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        most.into_iter()
            .filter(|(call, _)| is_word(call))
            .flat_map(|(call, count)| {
                (1..=count).map(move |number| Step {
                    call: call.to_owned(),
                    number,
                })
            })
            .collect()
    }

    /// Lets go, and gives what strace wrote.
    fn end(mut self) -> String {
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        let _ = kill_process(pid.expect("a pid is positive"), Signal::INT);
        // It may wait for ever for a thread of a process that was killed.
        let begin = Instant::now();
        while self.strace.try_wait().is_ok_and(|status| status.is_none()) && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.strace.kill();
        let _ = self.strace.wait();
        fs::read_to_string(&self.trace).unwrap_or_default()
    }
}

/// With a question mark each: one that this CPU or this strace does not have is passed over.
fn known(calls: &str) -> String {
    calls
        .split(',')
        .map(|call| format!("?{}", call.trim()))
        .collect::<Vec<_>>()
        .join(",")
}
