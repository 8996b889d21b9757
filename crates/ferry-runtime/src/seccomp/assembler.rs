//! Classic BPF, written from the end: every jump goes to an instruction that exists already.
//!
//! Equal instructions with equal successors are one instruction, so that trees share their leaves.

use std::collections::HashMap;

use ferry_sys::seccomp::Instruction;

/// An instruction already written: its distance from the program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Node(usize);

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    written: HashMap<(u16, u32, Node, Node), Node>,
}

/// Source: `linux/bpf_common.h`, `linux/filter.h`.
const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const AND: u16 = 0x54;
pub(super) const RETURN: u16 = 0x06;

/// How a branch compares the loaded word with a constant.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
#[allow(missing_docs)]
pub(super) enum Compare {
    Equal = 0x15,
    Greater = 0x25,
    GreaterOrEqual = 0x35,
}

/// The farthest that a branch reaches, less one for a second jump that may come between.
const REACH: usize = 254;

impl Assembler {
    /// Ends with an action.
    pub(super) fn ret(&mut self, action: u32) -> Node {
        self.once(RETURN, action, Node(0), Node(0), |this| this.push(RETURN, action, 0, 0))
    }

    /// Loads the word at `offset` of `struct seccomp_data`, then goes on.
    pub(super) fn load(&mut self, offset: u32, next: Node) -> Node {
        self.sequence(LOAD_WORD, offset, next)
    }

    /// Keeps the bits of `mask` of the loaded word, then goes on.
    pub(super) fn and(&mut self, mask: u32, next: Node) -> Node {
        self.sequence(AND, mask, next)
    }

    /// Goes on as the comparison of the loaded word with `value` says.
    pub(super) fn branch(&mut self, compare: Compare, value: u32, yes: Node, no: Node) -> Node {
        if yes == no {
            return yes;
        }
        let code = compare as u16;
        self.once(code, value, yes, no, |this| {
            let yes = this.near(yes);
            let no = this.near(no);
            let (jt, jf) = (this.distance(yes), this.distance(no));
            this.push(code, value, jt as u8, jf as u8)
        })
    }

    /// The program, first instruction first, beginning with the node written last.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn sequence(&mut self, code: u16, operand: u32, next: Node) -> Node {
        self.once(code, operand, next, next, |this| {
            if this.distance(next) != 0 {
                this.jump(next);
            }
            this.push(code, operand, 0, 0)
        })
    }

    /// The node itself, or a jump to it that a branch reaches.
    fn near(&mut self, node: Node) -> Node {
        if self.distance(node) <= REACH {
            node
        } else {
            self.jump(node)
        }
    }

    fn jump(&mut self, node: Node) -> Node {
        let distance = self.distance(node) as u32;
        self.push(JUMP, distance, 0, 0)
    }

    /// Instructions that lie between the next one written and `node`.
    fn distance(&self, node: Node) -> usize {
        self.reversed.len() - 1 - node.0
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Node {
        self.reversed.push(Instruction { code, jt, jf, k });
        Node(self.reversed.len() - 1)
    }

    fn once(&mut self, code: u16, operand: u32, yes: Node, no: Node, write: impl FnOnce(&mut Self) -> Node) -> Node {
        let key = (code, operand, yes, no);
        if let Some(node) = self.written.get(&key) {
            return *node;
        }
        let node = write(self);
        self.written.insert(key, node);
        node
    }
}
