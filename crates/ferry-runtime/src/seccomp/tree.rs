//! Ranges of decisions as a binary search in classic BPF.

use super::architecture::{Architecture, Width};
use super::assembler::{Assembler, Compare, Node};
use super::decision::{Case, Condition, Decision, RET_KILL_PROCESS, Range, Test};

/// Offsets in `struct seccomp_data`. Source: `linux/seccomp.h`; both hosts are little-endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Writes a filter of these architectures, whose ranges are given with the kernel's number of each;
/// a call of any other architecture kills the process.
pub(super) fn write(assembler: &mut Assembler, trees: &[(Architecture, Vec<Range>)]) {
    let mut entry = assembler.ret(RET_KILL_PROCESS);
    for (architecture, ranges) in trees.iter().rev() {
        let search = search(assembler, ranges);
        let search = assembler.load(NUMBER, search);
        entry = assembler.branch(Compare::Equal, architecture.audit(), search, entry);
    }
    assembler.load(ARCHITECTURE, entry);
}

fn search(assembler: &mut Assembler, ranges: &[Range]) -> Node {
    match ranges {
        [] => assembler.ret(RET_KILL_PROCESS),
        [range] => decide(assembler, &range.decision),
        _ => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            let yes = search(assembler, above);
            let no = search(assembler, below);
            assembler.branch(Compare::GreaterOrEqual, above[0].start, yes, no)
        }
    }
}

fn decide(assembler: &mut Assembler, decision: &Decision) -> Node {
    match decision {
        Decision::Always(action) => assembler.ret(*action),
        Decision::Conditional {
            cases,
            otherwise,
            width,
        } => {
            let otherwise = assembler.ret(*otherwise);
            cases
                .iter()
                .rev()
                .fold(otherwise, |next, case| try_case(assembler, case, *width, next))
        }
    }
}

fn try_case(assembler: &mut Assembler, case: &Case, width: Width, next: Node) -> Node {
    let action = assembler.ret(case.action);
    case.conditions.iter().rev().fold(action, |holds, condition| {
        test(assembler, condition, width, holds, next)
    })
}

fn test(assembler: &mut Assembler, condition: &Condition, width: Width, yes: Node, no: Node) -> Node {
    let argument = Argument {
        low: ARGUMENTS + 8 * condition.argument,
        width,
    };
    match condition.test {
        Test::Equal(value) => argument.equals(assembler, u64::MAX, value, yes, no),
        Test::NotEqual(value) => argument.equals(assembler, u64::MAX, value, no, yes),
        Test::MaskedEqual { mask, value } => argument.equals(assembler, mask, value, yes, no),
        Test::Greater(value) => argument.exceeds(assembler, Compare::Greater, value, yes, no),
        Test::GreaterOrEqual(value) => argument.exceeds(assembler, Compare::GreaterOrEqual, value, yes, no),
        Test::Less(value) => argument.exceeds(assembler, Compare::GreaterOrEqual, value, no, yes),
        Test::LessOrEqual(value) => argument.exceeds(assembler, Compare::Greater, value, no, yes),
    }
}

/// An argument in two words.
struct Argument {
    low: u32,
    width: Width,
}

impl Argument {
    /// `argument & mask == value`.
    fn equals(&self, assembler: &mut Assembler, mask: u64, value: u64, yes: Node, no: Node) -> Node {
        let low = word_equals(assembler, self.low, mask as u32, value as u32, yes, no);
        match self.width {
            Width::Low32 => low,
            Width::Full64 => {
                let (mask, value) = ((mask >> 32) as u32, (value >> 32) as u32);
                word_equals(assembler, self.low + 4, mask, value, low, no)
            }
        }
    }

    /// `argument > value` or `argument >= value`: the upper word decides unless it is equal.
    fn exceeds(&self, assembler: &mut Assembler, compare: Compare, value: u64, yes: Node, no: Node) -> Node {
        let low = assembler.branch(compare, value as u32, yes, no);
        let low = assembler.load(self.low, low);
        match self.width {
            Width::Low32 => low,
            Width::Full64 => {
                let upper = (value >> 32) as u32;
                let equal = assembler.branch(Compare::Equal, upper, low, no);
                let greater = assembler.branch(Compare::Greater, upper, yes, equal);
                assembler.load(self.low + 4, greater)
            }
        }
    }
}

fn word_equals(assembler: &mut Assembler, offset: u32, mask: u32, value: u32, yes: Node, no: Node) -> Node {
    match mask {
        0 if value == 0 => yes,
        0 => no,
        u32::MAX => {
            let compared = assembler.branch(Compare::Equal, value, yes, no);
            assembler.load(offset, compared)
        }
        _ => {
            let compared = assembler.branch(Compare::Equal, value, yes, no);
            let masked = assembler.and(mask, compared);
            assembler.load(offset, masked)
        }
    }
}
