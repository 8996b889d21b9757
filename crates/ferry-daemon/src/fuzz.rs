//! What fuzzers feed: what a client sends of its files.

use std::path::Path;

use bollard_buildkit_proto::fsutil::types::Packet;
use ferry_engine::build::context::Contexts;
use prost::Message;

use crate::buildkit::session::file_sync::receive_packets;

/// The packets of a directory, each after its length, received below `folder`, which is empty.
pub fn context_packets(data: &[u8], folder: &Path) {
    let mut packets = Vec::new();
    let mut rest = data;
    while let Ok(packet) = Packet::decode_length_delimited(&mut rest) {
        packets.push(packet);
        if rest.is_empty() || packets.len() == 200 {
            break;
        }
    }
    let contexts = Contexts::open(folder).expect("a folder for contexts");
    match receive_packets(contexts.receive_once(), packets) {
        Ok(received) => assert!(received.tree.path().starts_with(folder)),
        Err(error) => drop(error.to_string()),
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
        replay::replay("context_packets", |data| {
            context_packets(data, tempfile::tempdir().unwrap().path())
        });
    }
}
