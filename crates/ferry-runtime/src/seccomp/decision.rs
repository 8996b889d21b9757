//! What a profile decides for each system-call number of an architecture.
//!
//! The rules of libseccomp and runc hold, for which profiles are written: names that an
//! architecture lacks are skipped; a rule whose action is the default is none; a rule without
//! conditions wins over those with; conditions on different arguments must all hold, several on one
//! argument are alternatives; calls newer than the profile answer ENOSYS unless the default lets
//! them pass. Of conditional rules with different actions the first that matches decides.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};

use super::CompileError;
use super::architecture::{Architecture, Width, X32_BIT};
use super::syscalls::{self, ARM_PRIVATE, X32_PRIVATE};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Decision {
    /// One of `SECCOMP_RET_*`, with its data.
    Always(u32),
    /// Depends on arguments.
    Conditional {
        /// The first whose conditions all hold decides.
        cases: Vec<Case>,
        /// What happens when none does.
        otherwise: u32,
        /// How much of each argument counts.
        width: Width,
    },
}

/// An action under conditions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Case {
    pub(super) conditions: Vec<Condition>,
    pub(super) action: u32,
}

/// A test of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u32,
    pub(super) test: Test,
}

/// A comparison with an unsigned number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(super) enum Test {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    MaskedEqual { mask: u64, value: u64 },
}

/// Numbers from `start` up to the next range's start share a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) decision: Decision,
}

/// Source: `linux/seccomp.h`.
pub(super) const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_KILL_THREAD: u32 = 0;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
pub(super) const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

/// Errors that a call can answer. Source: `linux/err.h`, `MAX_ERRNO`.
const MAX_ERRNO: u32 = 4095;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The decisions for one architecture, in rising order of numbers, the first from its lowest number
/// on, neighbours different.
pub(super) fn ranges(profile: &LinuxSeccomp, architecture: Architecture) -> Result<Vec<Range>, CompileError> {
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut decisions: BTreeMap<u32, Builder> = BTreeMap::new();
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret())?;
        let cases = cases(rule, action)?;
        for name in rule.names() {
            if let Some(number) = syscalls::number(name, architecture) {
                let builder = decisions.entry(number).or_default();
                if action != default {
                    builder.add(&cases, action);
                }
            }
        }
    }
    let newer = match profile.default_action() {
        LinuxSeccompAction::ScmpActAllow | LinuxSeccompAction::ScmpActLog | LinuxSeccompAction::ScmpActTrace => default,
        _ if decisions.is_empty() => default,
        _ => RET_ERRNO | ENOSYS,
    };
    let mut ranges = Ranges::default();
    for bounds in blocks(architecture).windows(2) {
        let (mut next, end) = (bounds[0], bounds[1]);
        for (number, builder) in decisions.range(next..end) {
            ranges.push(next, *number, Decision::Always(default));
            ranges.push(*number, *number + 1, builder.finish(default, architecture.width()));
            next = *number + 1;
        }
        ranges.push(next, end, Decision::Always(newer));
    }
    let mut ranges = ranges.0;
    if architecture == Architecture::X32 {
        for range in &mut ranges {
            range.start |= X32_BIT;
        }
    }
    Ok(ranges)
}

/// Bounds of the blocks of numbers at whose ends the kernel adds calls, each apart.
fn blocks(architecture: Architecture) -> &'static [u32] {
    match architecture {
        Architecture::X86_64 => &[0, X32_BIT],
        Architecture::X32 => &[0, X32_PRIVATE, X32_BIT],
        Architecture::Arm => &[0, ARM_PRIVATE, u32::MAX],
        Architecture::X86 | Architecture::Aarch64 => &[0, u32::MAX],
    }
}

/// Ranges in the making.
#[derive(Default)]
struct Ranges(Vec<Range>);

impl Ranges {
    fn push(&mut self, start: u32, end: u32, decision: Decision) {
        let continues = self.0.last().is_some_and(|last| last.decision == decision);
        if start < end && !continues {
            self.0.push(Range { start, decision });
        }
    }
}

/// The rules for one number.
#[derive(Default)]
struct Builder {
    always: Option<u32>,
    cases: Vec<Case>,
}

impl Builder {
    fn add(&mut self, cases: &[Case], action: u32) {
        if cases.is_empty() {
            self.always.get_or_insert(action);
        }
        self.cases.extend_from_slice(cases);
    }

    fn finish(&self, default: u32, width: Width) -> Decision {
        match self.always {
            Some(action) => Decision::Always(action),
            None if self.cases.is_empty() => Decision::Always(default),
            None => Decision::Conditional {
                cases: self.cases.clone(),
                otherwise: default,
                width,
            },
        }
    }
}

/// The cases of a rule; none when it has no conditions.
fn cases(rule: &LinuxSyscall, action: u32) -> Result<Vec<Case>, CompileError> {
    let arguments = rule.args().as_deref().unwrap_or_default();
    let conditions = arguments
        .iter()
        .map(|argument| condition(rule, argument))
        .collect::<Result<Vec<_>, _>>()?;
    let repeated = |condition: &Condition| {
        let same = |other: &&Condition| other.argument == condition.argument;
        conditions.iter().filter(same).count() > 1
    };
    let case = |conditions| Case { conditions, action };
    Ok(if conditions.is_empty() {
        Vec::new()
    } else if conditions.iter().any(repeated) {
        conditions.iter().map(|condition| case(vec![*condition])).collect()
    } else {
        vec![case(conditions)]
    })
}

fn condition(rule: &LinuxSyscall, argument: &LinuxSeccompArg) -> Result<Condition, CompileError> {
    let value = argument.value();
    let test = match argument.op() {
        LinuxSeccompOperator::ScmpCmpEq => Test::Equal(value),
        LinuxSeccompOperator::ScmpCmpNe => Test::NotEqual(value),
        LinuxSeccompOperator::ScmpCmpLt => Test::Less(value),
        LinuxSeccompOperator::ScmpCmpLe => Test::LessOrEqual(value),
        LinuxSeccompOperator::ScmpCmpGt => Test::Greater(value),
        LinuxSeccompOperator::ScmpCmpGe => Test::GreaterOrEqual(value),
        LinuxSeccompOperator::ScmpCmpMaskedEq => Test::MaskedEqual {
            mask: value,
            value: argument.value_two().unwrap_or(0),
        },
    };
    match u32::try_from(argument.index()) {
        Ok(argument @ 0..=5) => Ok(Condition { argument, test }),
        _ => Err(CompileError::ArgumentIndex {
            syscall: rule.names().first().cloned().unwrap_or_default(),
            index: argument.index(),
        }),
    }
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32, CompileError> {
    let data = errno.unwrap_or(EPERM);
    if data > MAX_ERRNO {
        return Err(CompileError::ErrnoRange { errno: data });
    }
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => RET_KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => RET_KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => RET_TRAP,
        LinuxSeccompAction::ScmpActErrno => RET_ERRNO | data,
        LinuxSeccompAction::ScmpActTrace => RET_TRACE | data,
        LinuxSeccompAction::ScmpActLog => RET_LOG,
        LinuxSeccompAction::ScmpActAllow => RET_ALLOW,
        LinuxSeccompAction::ScmpActNotify => RET_USER_NOTIF,
    })
}
