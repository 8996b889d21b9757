//! The option words of a mount, sorted into what the kernel wants to hear at which call.
//!
//! Source: OCI runtime-spec config.md#linux-mount-options.

use ferry_sys::mount::{
    ACCESS_TIME, Attributes, NO_ATIME, NO_DEV, NO_DIR_ATIME, NO_EXEC, NO_SUID, NO_SYMLINK_FOLLOW, Propagation,
    READ_ONLY, RELATIME, Reach, STRICT_ATIME,
};

/// A mount's options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options {
    /// Whether it is a bind mount, and of what.
    pub(super) bind: Option<Reach>,
    /// For the mount itself.
    pub(super) own: Attributes,
    /// For it and all below.
    pub(super) tree: Attributes,
    /// How mount events travel, and for which mounts.
    pub(super) propagation: Option<(Propagation, Reach)>,
    /// Whether ids are mapped, and for which mounts.
    pub(super) id_map: Option<Reach>,
    /// Whether a temporary file system begins with what it covers, as runc and crun have it.
    pub(super) copy_up: bool,
    /// What is left: for the file system.
    pub(super) data: Vec<(String, Option<String>)>,
}

impl Options {
    /// Sorts the words; every one that is no word of mount(8) is the file system's.
    pub(super) fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Options {
        let mut options = Options::default();
        for word in words {
            options.take(word);
        }
        options
    }

    fn take(&mut self, word: &str) {
        if let Some((propagation, reach)) = propagation(word) {
            self.propagation = Some((propagation, reach));
        } else if let Some((bits, on)) = attribute(word) {
            change(&mut self.own, bits, on);
        } else if let Some((bits, on)) = word.strip_prefix('r').and_then(attribute) {
            change(&mut self.tree, bits, on);
        } else {
            match word {
                "bind" => self.bind = self.bind.or(Some(Reach::Mount)),
                "rbind" => self.bind = Some(Reach::Tree),
                "idmap" => self.id_map = self.id_map.or(Some(Reach::Mount)),
                "ridmap" => self.id_map = Some(Reach::Tree),
                "tmpcopyup" => self.copy_up = true,
                // Flags of a file system that mount(8) knows by two names.
                "nosync" | "nodirsync" | "nolazytime" | "noiversion" | "norbind" => {}
                // Words of mount(8) that say what is so anyway.
                "defaults" | "async" | "nomand" | "silent" | "loud" | "" => {}
                word => self.data.push(match word.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (word.to_owned(), None),
                }),
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

fn change(attributes: &mut Attributes, bits: u64, switch: Switch) {
    // The ways of keeping access times exclude each other: set one, clear the field.
    if bits & ACCESS_TIME != 0 || bits == RELATIME {
        attributes.set &= !ACCESS_TIME;
        attributes.clear |= ACCESS_TIME;
        attributes.set |= bits;
        return;
    }
    match switch {
        Switch::On => {
            attributes.set |= bits;
            attributes.clear &= !bits;
        }
        Switch::Off => {
            attributes.clear |= bits;
            attributes.set &= !bits;
        }
    }
}

fn attribute(word: &str) -> Option<(u64, Switch)> {
    use Switch::{Off, On};
    Some(match word {
        "ro" => (READ_ONLY, On),
        "rw" => (READ_ONLY, Off),
        "nosuid" => (NO_SUID, On),
        "suid" => (NO_SUID, Off),
        "nodev" => (NO_DEV, On),
        "dev" => (NO_DEV, Off),
        "noexec" => (NO_EXEC, On),
        "exec" => (NO_EXEC, Off),
        "nodiratime" => (NO_DIR_ATIME, On),
        "diratime" => (NO_DIR_ATIME, Off),
        "nosymfollow" => (NO_SYMLINK_FOLLOW, On),
        "symfollow" => (NO_SYMLINK_FOLLOW, Off),
        "noatime" => (NO_ATIME, On),
        "strictatime" => (STRICT_ATIME, On),
        "relatime" | "atime" | "norelatime" | "nostrictatime" => (RELATIME, On),
        _ => return None,
    })
}

fn propagation(word: &str) -> Option<(Propagation, Reach)> {
    Some(match word {
        "private" => (Propagation::Private, Reach::Mount),
        "rprivate" => (Propagation::Private, Reach::Tree),
        "slave" => (Propagation::Slave, Reach::Mount),
        "rslave" => (Propagation::Slave, Reach::Tree),
        "shared" => (Propagation::Shared, Reach::Mount),
        "rshared" => (Propagation::Shared, Reach::Tree),
        "unbindable" => (Propagation::Unbindable, Reach::Mount),
        "runbindable" => (Propagation::Unbindable, Reach::Tree),
        _ => return None,
    })
}

/// The propagation that a word such as a spec's `rootfsPropagation` asks for.
pub(super) fn root_propagation(word: &str) -> Option<(Propagation, Reach)> {
    propagation(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_where_they_belong() {
        let got = Options::parse(["rbind", "ro", "rnosuid", "rslave", "mode=755", "newinstance"]);
        assert_eq!(got.bind, Some(Reach::Tree));
        assert_eq!((got.own.set, got.own.clear), (READ_ONLY, 0));
        assert_eq!((got.tree.set, got.tree.clear), (NO_SUID, 0));
        assert_eq!(got.propagation, Some((Propagation::Slave, Reach::Tree)));
        let mode = ("mode".to_owned(), Some("755".to_owned()));
        assert_eq!(got.data, [mode, ("newinstance".to_owned(), None)]);
    }

    #[test]
    fn the_last_word_wins() {
        let got = Options::parse(["ro", "rw", "nosuid", "suid", "noexec"]);
        assert_eq!((got.own.set, got.own.clear), (NO_EXEC, READ_ONLY | NO_SUID));
        assert_eq!(Options::parse(["rbind", "bind"]).bind, Some(Reach::Tree));
    }

    #[test]
    fn access_times_exclude_each_other() {
        let got = Options::parse(["noatime", "strictatime"]);
        assert_eq!((got.own.set, got.own.clear), (STRICT_ATIME, ACCESS_TIME));
        let got = Options::parse(["noatime", "relatime"]);
        assert_eq!((got.own.set, got.own.clear), (0, ACCESS_TIME));
    }
}
