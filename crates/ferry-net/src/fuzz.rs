//! What fuzzers feed: the host's files, which other programs write.

use crate::resolv::{ResolvConf, Wishes, for_container};
use crate::subnet::Family;

/// `/etc/resolv.conf`; what is written for a container is read as it was meant.
pub fn resolv_conf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for families in [&[Family::V4][..], &[Family::V4, Family::V6]] {
        let (conf, _) = for_container(&text, &Wishes::default(), families);
        let read = ResolvConf::parse(&conf.to_string());
        assert_eq!(read.name_servers, conf.name_servers);
        assert_eq!(read.options, conf.options);
        assert_eq!(read.search, conf.search);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("resolv_conf", resolv_conf);
    }
}
