//! Device rules as a program of the extended BPF, for version 2 groups.
//!
//! The kernel asks with a type, two numbers and the accesses wanted. The program keeps the accesses
//! that no rule has decided yet; rules are tried from the last to the first, so that for each
//! access the last rule that speaks of it decides. Source: `linux/bpf.h`, struct
//! bpf_cgroup_dev_ctx; kernel `bpf/standardization/instruction-set.rst`.

use ferry_sys::bpf::Instruction;

use super::{Access, Kind, Number, Rule, Verdict};

/// Registers: the answer, the kernel's question, and what is read of it.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const UNDECIDED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// Operations on 32-bit values.
const LOAD_WORD: u8 = 0x61;
const MOVE_CONSTANT: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const AND_CONSTANT: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_IF_EQUAL: u8 = 0x16;
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const EXIT: u8 = 0x95;

/// `BPF_DEVCG_DEV_*` and `BPF_DEVCG_ACC_*`.
const TYPE_BLOCK: i32 = 1;
const TYPE_CHAR: i32 = 2;
const ACCESS_MKNOD: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;
const ACCESS_SHIFT: i32 = 16;

/// The program for a list of rules; what no rule decides is refused.
#[must_use]
pub fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        load(TYPE, 0),
        instruction(MOVE_REGISTER, UNDECIDED, TYPE, 0, 0),
        constant(SHIFT_RIGHT, UNDECIDED, ACCESS_SHIFT),
        constant(AND_CONSTANT, TYPE, 0xffff),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        if rule.is_everything() {
            program.extend(answer(rule.verdict));
            return program;
        }
        program.extend(block(rule));
    }
    program.extend(answer(Verdict::Deny));
    program
}

/// One rule: tests that jump past the block when it does not apply, then what it does.
fn block(rule: &Rule) -> Vec<Instruction> {
    let mut tests = Vec::new();
    match rule.kind {
        Kind::All => {}
        Kind::Block => tests.push((TYPE, TYPE_BLOCK)),
        Kind::Char => tests.push((TYPE, TYPE_CHAR)),
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Number::Exactly(number) = number {
            tests.push((register, number.cast_signed()));
        }
    }
    let access = access_bits(rule.access);
    let mut decide = match rule.verdict {
        Verdict::Allow => vec![
            constant(AND_CONSTANT, UNDECIDED, !access),
            // Something is left: other rules decide on it.
            jump(JUMP_UNLESS_EQUAL, UNDECIDED, 0, 2),
        ],
        Verdict::Deny => vec![
            instruction(MOVE_REGISTER, SCRATCH, UNDECIDED, 0, 0),
            constant(AND_CONSTANT, SCRATCH, access),
            jump(JUMP_IF_EQUAL, SCRATCH, 0, 2),
        ],
    };
    decide.extend(answer(rule.verdict));
    let mut block = Vec::new();
    for (place, (register, wanted)) in tests.iter().enumerate() {
        // At most two more tests and five instructions lie between here and the block's end.
        let distance = (tests.len() - 1 - place + decide.len()) as i16;
        block.push(jump(JUMP_UNLESS_EQUAL, *register, *wanted, distance));
    }
    block.extend(decide);
    block
}

fn access_bits(access: Access) -> i32 {
    let bit = |has, bit| if has { bit } else { 0 };
    bit(access.read, ACCESS_READ) | bit(access.write, ACCESS_WRITE) | bit(access.mknod, ACCESS_MKNOD)
}

fn answer(verdict: Verdict) -> [Instruction; 2] {
    let allow = i32::from(verdict == Verdict::Allow);
    [constant(MOVE_CONSTANT, ANSWER, allow), instruction(EXIT, 0, 0, 0, 0)]
}

fn load(register: u8, offset: i16) -> Instruction {
    instruction(LOAD_WORD, register, CONTEXT, offset, 0)
}

fn constant(code: u8, register: u8, value: i32) -> Instruction {
    instruction(code, register, 0, 0, value)
}

fn jump(code: u8, register: u8, value: i32, distance: i16) -> Instruction {
    instruction(code, register, 0, distance, value)
}

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: source << 4 | destination,
        offset,
        immediate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    /// Runs a program as the kernel would.
    fn run(program: &[Instruction], kind: i32, major: u32, minor: u32, access: i32) -> bool {
        let context = [(access << 16 | kind) as u32, major, minor];
        let (mut registers, mut at) = ([0_u32; 11], 0);
        for _ in 0..10_000 {
            let Instruction {
                code,
                registers: both,
                offset,
                immediate,
            } = program[at];
            let (destination, source) = (usize::from(both & 15), usize::from(both >> 4));
            let value = immediate.cast_unsigned();
            let mut jump = false;
            match code {
                LOAD_WORD => registers[destination] = context[offset as usize / 4],
                MOVE_CONSTANT => registers[destination] = value,
                MOVE_REGISTER => registers[destination] = registers[source],
                AND_CONSTANT => registers[destination] &= value,
                SHIFT_RIGHT => registers[destination] >>= value,
                JUMP_IF_EQUAL => jump = registers[destination] == value,
                JUMP_UNLESS_EQUAL => jump = registers[destination] != value,
                EXIT => return registers[0] == 1,
                other => panic!("instruction {other:#x}"),
            }
            at += 1 + if jump { offset as usize } else { 0 };
        }
        panic!("endless");
    }

    /// Each access by itself: the last rule that speaks of it decides.
    fn naive(rules: &[Rule], kind: i32, major: u32, minor: u32, access: i32) -> bool {
        let number = |rule: Number, actual| rule == Number::Any || rule == Number::Exactly(actual);
        [ACCESS_MKNOD, ACCESS_READ, ACCESS_WRITE]
            .into_iter()
            .filter(|bit| access & bit != 0)
            .all(|bit| {
                rules
                    .iter()
                    .rev()
                    .find(|rule| {
                        let kinds = match rule.kind {
                            Kind::All => true,
                            Kind::Block => kind == TYPE_BLOCK,
                            Kind::Char => kind == TYPE_CHAR,
                        };
                        kinds
                            && number(rule.major, major)
                            && number(rule.minor, minor)
                            && access_bits(rule.access) & bit != 0
                    })
                    .is_some_and(|rule| rule.verdict == Verdict::Allow)
            })
    }

    #[track_caller]
    fn compare(rules: &[Rule]) {
        let program = program(rules);
        for kind in [TYPE_BLOCK, TYPE_CHAR] {
            for (major, minor) in [
                (1, 3),
                (1, 5),
                (1, 1),
                (5, 0),
                (5, 2),
                (8, 0),
                (136, 7),
                (10, 229),
                (u32::MAX, u32::MAX),
            ] {
                for access in 1..8 {
                    assert_eq!(
                        run(&program, kind, major, minor, access),
                        naive(rules, kind, major, minor, access),
                        "kind {kind} {major}:{minor} access {access:#b}"
                    );
                }
            }
        }
    }

    fn rules(text: &[&str]) -> Vec<Rule> {
        let rule = |line: &&str| {
            let (verdict, rule) = line.split_once(' ').unwrap();
            Rule {
                verdict: if verdict == "allow" {
                    Verdict::Allow
                } else {
                    Verdict::Deny
                },
                ..Rule::parse(rule).unwrap()
            }
        };
        text.iter().map(rule).collect()
    }

    #[test]
    fn programs_mean_what_their_rules_say() {
        compare(profile::RULES);
        compare(profile::PRIVILEGED_RULES);
        compare(&[]);
        compare(&rules(&["deny a *:* rwm", "allow c 1:3 r", "allow c 1:3 w"]));
        compare(&rules(&[
            "allow a *:* rwm",
            "deny c 10:229 rwm",
            "deny b 8:* w",
            "allow b 8:0 rw",
        ]));
        compare(&rules(&[
            "allow c 1:3 rwm",
            "deny a *:* rwm",
            "allow c 1:5 r",
            "deny c *:* m",
        ]));
        compare(&rules(&[
            "allow a *:* m",
            "allow c *:5 w",
            "allow c 4294967295:4294967295 rwm",
        ]));
    }

    #[test]
    fn containers_use_their_terminals_and_no_disks() {
        let program = program(profile::RULES);
        assert!(run(&program, TYPE_CHAR, 1, 3, ACCESS_READ | ACCESS_WRITE));
        assert!(run(&program, TYPE_CHAR, 136, 4, ACCESS_READ | ACCESS_WRITE));
        assert!(run(&program, TYPE_BLOCK, 8, 0, ACCESS_MKNOD));
        assert!(!run(&program, TYPE_BLOCK, 8, 0, ACCESS_READ));
        assert!(!run(&program, TYPE_CHAR, 1, 1, ACCESS_READ));
        assert!(!run(&program, TYPE_CHAR, 10, 229, ACCESS_READ | ACCESS_WRITE));
    }
}
