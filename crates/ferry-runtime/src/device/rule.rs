//! One device rule and what it means.

/// Device types a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Block and character devices.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// A major or minor number, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Every number.
    Any,
    /// This one.
    Exactly(u32),
}

/// What a rule lets do: any of read, write and mknod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// Make a node.
    pub mknod: bool,
}

/// Allowed or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The access goes on.
    Allow,
    /// EPERM.
    Deny,
}

/// One rule; in a list, the last that matches an access decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Device types.
    pub kind: Kind,
    /// Major number.
    pub major: Number,
    /// Minor number.
    pub minor: Number,
    /// Accesses.
    pub access: Access,
    /// What becomes of them.
    pub verdict: Verdict,
}
