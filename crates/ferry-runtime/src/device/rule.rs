//! One device rule and what it means.

use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::Error;

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

/// What a rule speaks of: any of read, write and mknod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// One rule. In a list, rules take effect in order, as if each were written to the kernel's
/// version 1 files: a rule for all devices replaces everything before it.
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

impl Access {
    /// Read, write and mknod.
    pub const ALL: Access = Access {
        read: true,
        write: true,
        mknod: true,
    };
    /// Making nodes only.
    pub const MKNOD: Access = Access {
        read: false,
        write: false,
        mknod: true,
    };

    /// Parses any of the letters `r`, `w` and `m`, at least one.
    pub fn parse(letters: &str) -> Option<Access> {
        let mut access = Access::default();
        for letter in letters.chars() {
            match letter {
                'r' => access.read = true,
                'w' => access.write = true,
                'm' => access.mknod = true,
                _ => return None,
            }
        }
        (access != Access::default()).then_some(access)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, has) in [("r", self.read), ("w", self.write), ("m", self.mknod)] {
            if has {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Any => f.write_str("*"),
            Number::Exactly(number) => number.fmt(f),
        }
    }
}

impl Rule {
    /// Every access to every device.
    #[must_use]
    pub const fn everything(verdict: Verdict) -> Rule {
        Rule {
            kind: Kind::All,
            major: Number::Any,
            minor: Number::Any,
            access: Access::ALL,
            verdict,
        }
    }

    /// Allows accesses to the character device `major:minor`.
    #[must_use]
    pub const fn allow_char(major: Number, minor: Number, access: Access) -> Rule {
        Rule {
            kind: Kind::Char,
            major,
            minor,
            access,
            verdict: Verdict::Allow,
        }
    }

    /// Parses the form of `--device-cgroup-rule`: `c 1:3 rwm`, `*` for any number. It allows.
    pub fn parse(text: &str) -> Result<Rule, Error> {
        let invalid = |reason| Error::InvalidRule {
            rule: text.to_owned(),
            reason,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [kind, numbers, letters] = words[..] else {
            return Err(invalid("expected `TYPE MAJOR:MINOR ACCESS`"));
        };
        let kind = match kind {
            "a" => Kind::All,
            "b" => Kind::Block,
            "c" => Kind::Char,
            _ => return Err(invalid("the type is not a, b or c")),
        };
        let number = |word: &str| match word {
            "*" => Ok(Number::Any),
            digits => digits
                .parse()
                .map(Number::Exactly)
                .map_err(|_| invalid("a device number is neither a number nor *")),
        };
        let (major, minor) = numbers
            .split_once(':')
            .ok_or_else(|| invalid("no : between the device numbers"))?;
        Ok(Rule {
            kind,
            major: number(major)?,
            minor: number(minor)?,
            access: Access::parse(letters).ok_or_else(|| invalid("the access is not made of r, w and m"))?,
            verdict: Verdict::Allow,
        })
    }

    /// Rules of the OCI runtime specification.
    pub fn list_from_oci(rules: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>, Error> {
        rules.iter().map(Rule::from_oci).collect()
    }

    fn from_oci(rule: &LinuxDeviceCgroup) -> Result<Rule, Error> {
        let invalid = |reason| Error::InvalidRule {
            rule: rule.to_string(),
            reason,
        };
        let number = |value: Option<i64>| match value {
            None | Some(-1) => Ok(Number::Any),
            Some(value) => u32::try_from(value)
                .map(Number::Exactly)
                .map_err(|_| invalid("a device number is out of range")),
        };
        Ok(Rule {
            kind: match rule.typ().unwrap_or_default() {
                LinuxDeviceType::A => Kind::All,
                LinuxDeviceType::B => Kind::Block,
                LinuxDeviceType::C | LinuxDeviceType::U => Kind::Char,
                LinuxDeviceType::P => return Err(invalid("a FIFO is no device")),
            },
            major: number(rule.major())?,
            minor: number(rule.minor())?,
            access: match rule.access().as_deref() {
                None | Some("") => Access::ALL,
                Some(letters) => {
                    Access::parse(letters).ok_or_else(|| invalid("the access is not made of r, w and m"))?
                }
            },
            verdict: if rule.allow() { Verdict::Allow } else { Verdict::Deny },
        })
    }

    /// The shape of the OCI runtime specification.
    #[must_use]
    pub fn to_oci(&self) -> LinuxDeviceCgroup {
        let number = |number| match number {
            Number::Any => None,
            Number::Exactly(number) => Some(i64::from(number)),
        };
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(self.verdict == Verdict::Allow);
        rule.set_typ(Some(match self.kind {
            Kind::All => LinuxDeviceType::A,
            Kind::Block => LinuxDeviceType::B,
            Kind::Char => LinuxDeviceType::C,
        }));
        rule.set_major(number(self.major));
        rule.set_minor(number(self.minor));
        rule.set_access(Some(self.access.to_string()));
        rule
    }

    /// The lines for `devices.allow` or `devices.deny`. `cgroup-v1/devices.rst`.
    ///
    /// There, `a` means everything whatever follows it, so a narrower rule for both types is two lines.
    #[must_use]
    pub fn to_v1(&self) -> Vec<String> {
        let line = |letter| format!("{letter} {}:{} {}", self.major, self.minor, self.access);
        match self.kind {
            _ if self.is_everything() => vec!["a".to_owned()],
            Kind::All => vec![line('b'), line('c')],
            Kind::Block => vec![line('b')],
            Kind::Char => vec![line('c')],
        }
    }

    /// Whether it speaks of every access to every device.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Rule::everything(self.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_command_line() {
        assert_eq!(Rule::parse("c 1:3 mr").unwrap().to_v1(), ["c 1:3 rm"]);
        assert_eq!(Rule::parse("b 8:* w").unwrap().to_v1(), ["b 8:* w"]);
        assert_eq!(Rule::parse("a *:* rwm").unwrap(), Rule::everything(Verdict::Allow));
        for bad in [
            "",
            "c",
            "c 1:3",
            "x 1:3 r",
            "c 1 r",
            "c 1:x r",
            "c 1:3 q",
            "c -1:3 r",
            "c 1:3 r w",
            "c 1:3 rwmé",
        ] {
            assert!(Rule::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rules_survive_the_oci_shape() {
        let rules = [
            Rule::everything(Verdict::Deny),
            Rule::parse("c 136:* rwm").unwrap(),
            Rule::parse("b *:* m").unwrap(),
        ];
        let oci: Vec<_> = rules.iter().map(Rule::to_oci).collect();
        assert_eq!(Rule::list_from_oci(&oci).unwrap(), rules);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let mut rule = Rule::everything(Verdict::Allow).to_oci();
        rule.set_major(Some(1 << 40));
        assert!(Rule::list_from_oci(&[rule]).is_err());
    }
}
