//! Filters compared with a naive reading of their profiles, and loaded into a real kernel.

use std::collections::HashMap;
use std::process::Command;

use ferry_sys::seccomp::Instruction;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};

use super::architecture::{Width, X32_BIT};
use super::*;
use crate::capability::{Capability, CapabilitySet};

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = RET_KILL_PROCESS;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

/// A system call as a filter sees it.
#[derive(Debug, Clone, Copy)]
struct Call {
    audit: u32,
    number: u32,
    arguments: [u64; 6],
}

/// Runs a filter as the kernel would.
fn run(program: &[Instruction], call: &Call) -> u32 {
    let mut data = Vec::new();
    data.extend_from_slice(&call.number.to_le_bytes());
    data.extend_from_slice(&call.audit.to_le_bytes());
    data.extend_from_slice(&0_u64.to_le_bytes());
    for argument in call.arguments {
        data.extend_from_slice(&argument.to_le_bytes());
    }
    let (mut accumulator, mut at) = (0_u32, 0_usize);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1;
        match code {
            0x20 => {
                let word = data[k as usize..][..4].try_into().unwrap();
                accumulator = u32::from_le_bytes(word);
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// A profile read rule by rule, the slow way.
struct Naive<'a> {
    architectures: &'a [Architecture],
    default: u32,
    lets_pass: bool,
    /// What each rule does to which number, in the profile's order.
    rules: HashMap<(Architecture, u32), Vec<Rule<'a>>>,
    /// The highest number that it speaks of, a block.
    newest: HashMap<(Architecture, u32), u32>,
}

/// An action and its conditions.
type Rule<'a> = (u32, &'a [LinuxSeccompArg]);

fn encode(action: LinuxSeccompAction, errno: Option<u32>) -> u32 {
    match action {
        LinuxSeccompAction::ScmpActKillProcess => KILL,
        other => other.as_u32(errno),
    }
}

impl<'a> Naive<'a> {
    fn new(profile: &'a LinuxSeccomp, architectures: &'a [Architecture]) -> Naive<'a> {
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        for rule in profile.syscalls().iter().flatten() {
            let does = (
                encode(rule.action(), rule.errno_ret()),
                rule.args().as_deref().unwrap_or_default(),
            );
            for (name, architecture) in rule
                .names()
                .iter()
                .flat_map(|name| architectures.iter().map(move |a| (name, a)))
            {
                if let Some(number) = syscalls::number(name, *architecture) {
                    rules.entry((*architecture, number)).or_default().push(does);
                }
            }
        }
        let mut newest = HashMap::new();
        for (architecture, number) in rules.keys() {
            let highest = newest
                .entry((*architecture, block(*architecture, *number)))
                .or_insert(0);
            *highest = (*number).max(*highest);
        }
        Naive {
            newest,
            architectures,
            default: encode(profile.default_action(), profile.default_errno_ret()),
            lets_pass: matches!(
                profile.default_action(),
                LinuxSeccompAction::ScmpActAllow | LinuxSeccompAction::ScmpActLog
            ),
            rules,
        }
    }

    fn answer(&self, call: &Call) -> u32 {
        let marked = call.number >= X32_BIT && call.audit == Architecture::X32.audit();
        let meant = |known: &&Architecture| known.audit() == call.audit && (**known == Architecture::X32) == marked;
        let Some(architecture) = self.architectures.iter().find(meant) else {
            return KILL;
        };
        let number = if marked { call.number & !X32_BIT } else { call.number };
        let (mut always, mut first) = (None, None);
        for (action, arguments) in self.rules.get(&(*architecture, number)).into_iter().flatten() {
            if *action == self.default {
                continue;
            }
            if arguments.is_empty() {
                always = always.or(Some(*action));
            } else if holds(arguments, call, architecture.width()) {
                first = first.or(Some(*action));
            }
        }
        match always.or(first) {
            Some(action) => action,
            None if self.lets_pass || self.knows(*architecture, number) => self.default,
            None => ENOSYS,
        }
    }

    /// Whether the profile speaks of this number or a later one of its block.
    fn knows(&self, architecture: Architecture, number: u32) -> bool {
        let newest = self.newest.get(&(architecture, block(architecture, number)));
        newest.is_some_and(|newest| number <= *newest)
    }
}

/// Which of an architecture's two runs of numbers this one is in.
fn block(architecture: Architecture, number: u32) -> u32 {
    u32::from(match architecture {
        Architecture::X32 => number >= 512,
        Architecture::Arm => number >= 0xf0000,
        _ => false,
    })
}

fn holds(arguments: &[LinuxSeccompArg], call: &Call, width: Width) -> bool {
    let one = |argument: &LinuxSeccompArg| {
        let cut = |value: u64| match width {
            Width::Low32 => u64::from(value as u32),
            Width::Full64 => value,
        };
        let actual = cut(call.arguments[argument.index()]);
        let value = cut(argument.value());
        match argument.op() {
            LinuxSeccompOperator::ScmpCmpEq => actual == value,
            LinuxSeccompOperator::ScmpCmpNe => actual != value,
            LinuxSeccompOperator::ScmpCmpLt => actual < value,
            LinuxSeccompOperator::ScmpCmpLe => actual <= value,
            LinuxSeccompOperator::ScmpCmpGt => actual > value,
            LinuxSeccompOperator::ScmpCmpGe => actual >= value,
            LinuxSeccompOperator::ScmpCmpMaskedEq => actual & value == cut(argument.value_two().unwrap_or(0)),
        }
    };
    let mut seen = HashMap::new();
    for argument in arguments {
        *seen.entry(argument.index()).or_insert(0) += 1;
    }
    if seen.values().any(|count| *count > 1) {
        arguments.iter().any(one)
    } else {
        arguments.iter().all(one)
    }
}

/// Numbers near every edge of every architecture.
fn numbers() -> Vec<u32> {
    let near = |edge: u32| edge.saturating_sub(3)..=edge.saturating_add(3);
    let low = 0..600;
    let x32 = X32_BIT..X32_BIT + 600;
    let edges = [0xf0000, X32_BIT, 0x7fff_ffff, u32::MAX];
    low.chain(x32).chain(edges.into_iter().flat_map(near)).collect()
}

/// Arguments near what profiles compare with.
const VALUES: &[u64] = &[
    0,
    1,
    8,
    31,
    32,
    37,
    38,
    39,
    40,
    41,
    45,
    46,
    300,
    0x2_0000,
    0x2_0008,
    0x1000_0000,
    0x7e02_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0026,
    0x1_0000_0028,
    0x5_0000_0005,
    0x8000_0000_0000_0000,
    u64::MAX,
];

#[track_caller]
fn compare(profile: &LinuxSeccomp, native: Architecture) -> usize {
    let program: Vec<Instruction> = compile_for(profile, native).unwrap().instructions().collect();
    let mut architectures = vec![native];
    let named = profile.architectures().iter().flatten();
    architectures.extend(named.filter_map(|named| Architecture::from_oci(*named)));
    let naive = Naive::new(profile, &architectures);
    let mut audits: Vec<u32> = Architecture::ALL.map(Architecture::audit).to_vec();
    audits.push(0xdead_beef);
    audits.dedup();
    for audit in audits {
        for number in numbers() {
            // Where no filter is meant to look at arguments, one will do.
            let family = architectures.iter().any(|known| known.audit() == audit);
            let values = if family { VALUES } else { &VALUES[..1] };
            for value in values {
                let call = Call {
                    audit,
                    number,
                    arguments: [*value, value.rotate_left(32), 7, 0, *value, !*value],
                };
                let (expect, got) = (naive.answer(&call), run(&program, &call));
                assert_eq!(got, expect, "{call:x?}");
            }
        }
    }
    program.len()
}

fn profile(json: &str) -> LinuxSeccomp {
    serde_json::from_str(json).unwrap()
}

fn default_for(capabilities: CapabilitySet, native: Architecture) -> LinuxSeccomp {
    let mut profile = default_profile(capabilities);
    let family = native.family().iter().map(|known| known.to_oci()).collect();
    profile.set_architectures(Some(family));
    profile
}

#[test]
fn the_default_profile_means_what_it_says() {
    for native in [Architecture::X86_64, Architecture::Aarch64] {
        for capabilities in [CapabilitySet::EMPTY, CapabilitySet::DEFAULT, CapabilitySet::KNOWN] {
            let length = compare(&default_for(capabilities, native), native);
            assert!(length < 1000, "{length} instructions");
        }
    }
}

#[test]
fn every_operator_and_action() {
    let profile = profile(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13, "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["read", "nonsense"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["write"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_LT"}]},
        {"names": ["write"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 4294967296, "op": "SCMP_CMP_GE"}]},
        {"names": ["open"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 1, "value": 300, "op": "SCMP_CMP_NE"}, {"index": 5, "value": 40, "op": "SCMP_CMP_GT"}]},
        {"names": ["close"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 45, "op": "SCMP_CMP_EQ"}]},
        {"names": ["stat"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 4, "value": 41, "op": "SCMP_CMP_LE"}]},
        {"names": ["stat"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["fstat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["lseek"], "action": "SCMP_ACT_KILL", "args": [
            {"index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 21474836485}]},
        {"names": ["mmap"], "action": "SCMP_ACT_TRACE", "errnoRet": 7}
        ]}"#,
    );
    compare(&profile, Architecture::X86_64);
    compare(&profile, Architecture::X86);
}

#[test]
fn a_profile_that_lets_pass_lets_new_calls_pass_too() {
    let profile = profile(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ARM", "SCMP_ARCH_MIPS"], "syscalls": [
        {"names": ["ptrace"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    compare(&profile, Architecture::Aarch64);
    let profile = self::profile(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
    assert_eq!(compare(&profile, Architecture::X86_64), 6);
}

#[test]
fn long_profiles_jump_far() {
    // Different answers and conditions everywhere: as far from mergeable as a profile gets.
    let names = [
        "read", "open", "stat", "poll", "mmap", "brk", "ioctl", "readv", "pipe", "pause", "fork",
    ];
    let rules: Vec<String> = (0..220)
        .map(|at| {
            let (name, index, errno) = (names[at % 11], at % 6, at + 2);
            format!(
                r#"{{"names": ["{name}"], "action": "SCMP_ACT_ERRNO", "errnoRet": {errno}, "args": [
                    {{"index": {index}, "value": {at}, "op": "SCMP_CMP_EQ"}}]}}"#
            )
        })
        .collect();
    let json = format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{}]}}"#,
        rules.join(",")
    );
    assert!(compare(&profile(&json), Architecture::X86_64) > 800);
}

#[test]
fn impossible_profiles_are_refused() {
    for (json, expect) in [
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
            "seccomp rule for read: argument index 6 is not between 0 and 5",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 65536}"#,
            "seccomp rule: errno 65536 is not between 0 and 4095",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
            "seccomp profile uses SCMP_ACT_NOTIFY, which is not supported",
        ),
    ] {
        assert_eq!(compile(&profile(json)).unwrap_err().to_string(), expect);
    }
}

#[test]
fn a_program_survives_being_sent() {
    let program = compile(&default_profile(CapabilitySet::DEFAULT)).unwrap();
    let sent = serde_json::to_vec(&program).unwrap();
    assert_eq!(serde_json::from_slice::<Program>(&sent).unwrap(), program);
}

#[test]
fn what_docker_forbids_is_forbidden() {
    let native = Architecture::X86_64;
    let program = |capabilities| -> Vec<Instruction> {
        let profile = default_for(capabilities, native);
        compile_for(&profile, native).unwrap().instructions().collect()
    };
    let (default, all) = (program(CapabilitySet::DEFAULT), program(CapabilitySet::KNOWN));
    let answer = |program: &[Instruction], name: &str, first: u64| {
        let number = syscalls::number(name, native).unwrap();
        let arguments = [first, 0, 0, 0, 0, 0];
        let audit = native.audit();
        run(
            program,
            &Call {
                audit,
                number,
                arguments,
            },
        )
    };
    for name in [
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "userfaultfd",
        "keyctl",
        "add_key",
        "request_key",
        "kexec_load",
        "kexec_file_load",
        "swapon",
        "swapoff",
        "pivot_root",
        "nfsservctl",
    ] {
        assert_eq!(answer(&all, name, 0), EPERM, "{name}");
    }
    for name in [
        "mount",
        "setns",
        "unshare",
        "bpf",
        "perf_event_open",
        "fsopen",
        "syslog",
        "init_module",
        "reboot",
    ] {
        assert_eq!(answer(&default, name, 0), EPERM, "{name}");
        assert_eq!(answer(&all, name, 0), ALLOW, "{name}");
    }
    for (family, expect) in [
        (1, ALLOW),
        (2, ALLOW),
        (16, ALLOW),
        (37, ALLOW),
        (38, EPERM),
        (39, ALLOW),
        (40, EPERM),
        (41, ALLOW),
        (45, ALLOW),
        (1 << 32 | 38, EPERM),
        (1 << 32 | 40, EPERM),
        (u64::MAX, EPERM),
    ] {
        assert_eq!(answer(&all, "socket", family), expect, "family {family:#x}");
    }
    assert_eq!(answer(&default, "clone3", 0), ENOSYS);
    assert_eq!(answer(&default, "clone", 0x1200_0000), EPERM);
    assert_eq!(answer(&default, "clone", 0x0100_0011), ALLOW);
    assert_eq!(answer(&default, "chroot", 0), ALLOW);
    assert_eq!(answer(&default, "personality", 0x4_0000), EPERM);
    assert_eq!(answer(&default, "open_tree_attr", 0), ENOSYS);
}

/// Not a test by itself: the process that the next one starts, filtered like a container's. It
/// makes calls from perl, since Rust's would be typed.
#[test]
fn filtered_child() {
    let Some(script) = std::env::var_os("FERRY_TEST_FILTERED") else {
        return;
    };
    compile(&default_profile(CapabilitySet::DEFAULT))
        .unwrap()
        .load()
        .unwrap();
    let status = Command::new("perl").arg("-e").arg(script).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_real_process_is_filtered() {
    let perl = Command::new("perl").args(["-e", "exit 0"]).status();
    if !rustix::process::geteuid().is_root() || !perl.is_ok_and(|status| status.success()) {
        eprintln!("skipped: needs root and perl");
        return;
    }
    const EPERM: i32 = 1;
    const ENOSYS: i32 = 38;
    let native = Architecture::native().unwrap();
    let calls = [
        ("getppid", "", 0),
        ("unshare", "0x04000000", EPERM),
        ("clone3", "0, 0", ENOSYS),
        ("clone", "0x10000011", EPERM),
        ("socket", "2, 2, 0", 0),
        ("socket", "38, 5, 0", EPERM),
        ("socket", "40, 1, 0", EPERM),
        ("socket", "0x100000028, 1, 0", EPERM),
        ("personality", "0x40000", EPERM),
        ("personality", "0xffffffff", 0),
        ("fsopen", "0, 0", EPERM),
        ("io_uring_setup", "0, 0", EPERM),
        ("keyctl", "0", EPERM),
        ("open_tree_attr", "", ENOSYS),
    ];
    let mut script = String::from(
        "print qq(\n); sub t { $! = 0; my $n = shift; my $r = syscall($n, @_); print $r < 0 ? $!+0 : 0, qq(\n) } ",
    );
    for (name, arguments, _) in calls {
        let number = syscalls::number(name, native).unwrap();
        script.push_str(&format!("t({number}, {arguments});"));
    }
    script.push_str("t(1000);");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "seccomp::tests::filtered_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("FERRY_TEST_FILTERED", script)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let mut expect: Vec<i32> = calls.iter().map(|(_, _, errno)| *errno).collect();
    expect.push(ENOSYS);
    assert_eq!(answers, expect, "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn more_capabilities_allow_more() {
    let count = |capabilities| default_profile(capabilities).syscalls().as_ref().unwrap().len();
    assert!(count(CapabilitySet::DEFAULT) < count(CapabilitySet::KNOWN));
    let with_time = CapabilitySet::DEFAULT.union(Capability::SysTime.into());
    assert_eq!(count(with_time), count(CapabilitySet::DEFAULT) + 1);
}
