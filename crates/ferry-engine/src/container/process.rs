//! What `/proc` says about one process, and the texts that `ps` makes of it. Source: `proc(5)`, `ps(1)`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use time::OffsetDateTime;

/// Ticks a second in what `/proc` shows, whatever the kernel's own. Source: `USER_HZ` in the kernel's headers.
pub(super) const TICKS_PER_SECOND: u64 = 100;
/// No file of `/proc` is read further; a command line may be megabytes.
const MAX_FILE_LEN: u64 = 64 << 10;
const MAX_PASSWD_LEN: u64 = 1 << 20;

/// What the host adds.
#[derive(Debug)]
pub(super) struct HostFacts {
    now: OffsetDateTime,
    uptime_ticks: u64,
    memory_kb: u64,
    users: HashMap<u32, String>,
}

/// One process.
#[derive(Debug, Default)]
pub(super) struct ProcessFacts {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) uid: u32,
    pub(super) effective_uid: u32,
    pub(super) gid: u32,
    pub(super) effective_gid: u32,
    /// The file that it executes, at most 15 bytes.
    pub(super) name: String,
    arguments: String,
    pub(super) state: char,
    terminal: u32,
    foreground: i32,
    cpu_ticks: u64,
    start_ticks: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_kb: u64,
    locked_kb: u64,
}

impl HostFacts {
    /// The host as it is now; what it does not tell is zero or empty.
    pub(super) fn read() -> Self {
        let uptime = read("/proc/uptime", MAX_FILE_LEN).unwrap_or_default();
        let memory = rustix::system::sysinfo();
        Self {
            now: OffsetDateTime::now_utc(),
            uptime_ticks: hundredths(uptime.split(' ').next().unwrap_or_default()),
            memory_kb: u64::from(memory.mem_unit) * memory.totalram / 1024,
            users: users(&read("/etc/passwd", MAX_PASSWD_LEN).unwrap_or_default()),
        }
    }

    /// The host's name for a user, as `ps` on the host shows it.
    pub(super) fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}

impl ProcessFacts {
    /// Reads about a process; `None` if there is none.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let file = |name: &str| read(&format!("/proc/{pid}/{name}"), MAX_FILE_LEN);
        Self::parse(pid, &file("stat")?, &file("status")?, &file("cmdline")?)
    }

    fn parse(pid: i32, stat: &str, status: &str, arguments: &str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
        let count = |number: usize| field(number).parse::<u64>().unwrap_or_default();
        let id = |number: usize| field(number).parse::<i32>().unwrap_or_default();
        let line = |name: &str| {
            let mut lines = status.lines().filter_map(|line| line.split_once(':'));
            let values = lines.find(|(key, _)| *key == name).map(|(_, values)| values);
            let mut numbers = values.unwrap_or_default().split_whitespace();
            move || {
                numbers
                    .next()
                    .and_then(|number| number.parse::<u64>().ok())
                    .unwrap_or_default()
            }
        };
        let (mut uids, mut gids) = (line("Uid"), line("Gid"));
        let mut user = || u32::try_from(uids()).unwrap_or(u32::MAX);
        let mut group = || u32::try_from(gids()).unwrap_or(u32::MAX);
        Some(Self {
            pid,
            state: field(3).chars().next()?,
            parent: id(4),
            group: id(5),
            session: id(6),
            terminal: u32::try_from(id(7)).unwrap_or_default(),
            foreground: id(8),
            cpu_ticks: count(14) + count(15),
            priority: field(18).parse().unwrap_or_default(),
            nice: field(19).parse().unwrap_or_default(),
            threads: count(20),
            start_ticks: count(22),
            virtual_bytes: count(23),
            uid: user(),
            effective_uid: user(),
            gid: group(),
            effective_gid: group(),
            resident_kb: line("VmRSS")(),
            locked_kb: line("VmLck")(),
            name: head
                .split_once('(')
                .map(|(_, name)| printable(name))
                .unwrap_or_default(),
            arguments: printable(arguments.trim_end_matches('\0')),
        })
    }

    /// The command line; the name in brackets for one that has none, as a zombie.
    pub(super) fn command(&self) -> String {
        match (self.arguments.is_empty(), self.state) {
            (true, 'Z') => format!("[{}] <defunct>", self.name),
            (true, _) => format!("[{}]", self.name),
            (false, _) => self.arguments.clone(),
        }
    }

    /// Name of its terminal, `?` for none.
    pub(super) fn terminal(&self) -> String {
        let (major, minor) = (
            (self.terminal >> 8) & 0xfff,
            (self.terminal & 0xff) | ((self.terminal >> 12) & 0xfff00),
        );
        match (major, minor) {
            (0, _) => "?".to_owned(),
            (4, 0..64) => format!("tty{minor}"),
            (4, _) => format!("ttyS{}", minor - 64),
            (5, 1) => "console".to_owned(),
            (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
            _ => "?".to_owned(),
        }
    }

    /// State with its marks: `Ss+`.
    pub(super) fn status(&self) -> String {
        let mut text = self.state.to_string();
        let marks = [
            (self.nice < 0, '<'),
            (self.nice > 0, 'N'),
            (self.locked_kb > 0, 'L'),
            (self.session == self.pid, 's'),
            (self.threads > 1, 'l'),
            (self.foreground == self.group, '+'),
        ];
        text.extend(marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark));
        text
    }

    fn age_ticks(&self, host: &HostFacts) -> u64 {
        host.uptime_ticks.saturating_sub(self.start_ticks)
    }

    /// Seconds since its start.
    pub(super) fn age_seconds(&self, host: &HostFacts) -> u64 {
        self.age_ticks(host) / TICKS_PER_SECOND
    }

    /// CPU time since its start, of one CPU, in thousandths.
    pub(super) fn cpu_permille(&self, host: &HostFacts) -> u64 {
        self.cpu_ticks
            .saturating_mul(1000)
            .checked_div(self.age_ticks(host))
            .unwrap_or_default()
    }

    /// Resident memory, of the host's, in thousandths.
    pub(super) fn memory_permille(&self, host: &HostFacts) -> u64 {
        self.resident_kb
            .saturating_mul(1000)
            .checked_div(host.memory_kb)
            .unwrap_or_default()
    }

    /// `14:05` today, `Nov20` this year, else `2025`; UTC.
    pub(super) fn start_time(&self, host: &HostFacts) -> String {
        let age = i64::try_from(self.age_seconds(host)).unwrap_or(i64::MAX);
        let start = host.now.checked_sub(time::Duration::seconds(age)).unwrap_or(host.now);
        if start.date() == host.now.date() {
            format!("{:02}:{:02}", start.hour(), start.minute())
        } else if start.year() == host.now.year() {
            let month = start.month().to_string();
            format!("{}{:02}", month.get(..3).unwrap_or(&month), start.day())
        } else {
            start.year().to_string()
        }
    }

    /// CPU time as `[days-]hh:mm:ss`.
    pub(super) fn cpu_time(&self) -> String {
        let (days, clock) = days_and_clock(self.cpu_ticks / TICKS_PER_SECOND);
        match days {
            0 => clock,
            days => format!("{days}-{clock}"),
        }
    }

    /// CPU time as `minutes:ss`.
    pub(super) fn short_cpu_time(&self) -> String {
        let seconds = self.cpu_ticks / TICKS_PER_SECOND;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }

    /// Time since its start as `[[days-]hh:]mm:ss`.
    pub(super) fn elapsed(&self, host: &HostFacts) -> String {
        let (days, clock) = days_and_clock(self.age_seconds(host));
        match days {
            0 => clock.strip_prefix("00:").unwrap_or(&clock).to_owned(),
            days => format!("{days}-{clock}"),
        }
    }
}

fn days_and_clock(seconds: u64) -> (u64, String) {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    (
        hours / 24,
        format!("{:02}:{:02}:{:02}", hours % 24, minutes % 60, seconds % 60),
    )
}

/// `12.34` as 1234.
fn hundredths(text: &str) -> u64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole: u64 = whole.parse().unwrap_or_default();
    whole * 100 + fraction.parse::<u64>().unwrap_or_default()
}

/// Words of a command line apart by spaces; what would move a terminal's cursor is shown as `?`.
fn printable(text: &str) -> String {
    let shown = text.chars().map(|character| match character {
        '\0' => ' ',
        control if control.is_control() => '?',
        other => other,
    });
    shown.collect()
}

fn users(passwd: &str) -> HashMap<u32, String> {
    let mut users = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

/// The beginning of a file; `None` if it cannot be read.
pub(super) fn read(path: &str, max_len: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(max_len).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b) S 7 42 42 34818 42 4194560 100 0 0 0 250 150 0 0 20 0 1 0 1000 8192000 256 1844 0";
    const STATUS: &str = "Name:\ta) b\nUid:\t1\t0\t0\t0\nGid:\t2\t3\t3\t3\nVmLck:\t       0 kB\nVmRSS:\t     500 kB\n";

    #[test]
    fn a_process_reads_as_in_ps() {
        let process = ProcessFacts::parse(42, STAT, STATUS, "sh\0-c\0a\nb\0").expect("a process");
        let host = HostFacts {
            now: OffsetDateTime::from_unix_timestamp(1_700_000_000).expect("a time"),
            uptime_ticks: 1000 + 100 * 100,
            memory_kb: 5000,
            users: users("root:x:0:0::/:/bin/sh\nbroken\n"),
        };
        assert_eq!(
            (process.name.as_str(), process.command().as_str()),
            ("a) b", "sh -c a?b")
        );
        assert_eq!((process.uid, process.effective_uid, process.effective_gid), (1, 0, 3));
        assert_eq!((host.user(0), host.user(1)), ("root".to_owned(), "1".to_owned()));
        assert_eq!(
            (process.terminal(), process.status()),
            ("pts/2".to_owned(), "Ss+".to_owned())
        );
        assert_eq!(
            (process.cpu_time(), process.short_cpu_time()),
            ("00:00:04".to_owned(), "0:04".to_owned())
        );
        assert_eq!((process.cpu_permille(&host), process.memory_permille(&host)), (40, 100));
        assert_eq!(
            (process.elapsed(&host), process.start_time(&host)),
            ("01:40".to_owned(), "22:11".to_owned())
        );
        assert!(ProcessFacts::parse(1, "garbage", "", "").is_none());
    }
}
