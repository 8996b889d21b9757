//! One netlink request with what it is for, and one message of an answer. `netlink(7)`, `<linux/netlink.h>`.

use netlink_packet_core::NetlinkSerializable;
use netlink_packet_route::RouteNetlinkMessage;

use crate::error::Operation;

/// The length of `struct nlmsghdr`.
pub(super) const HEADER_LEN: usize = 16;

/// A request: `struct nlmsghdr` without length and sequence number, which the connection adds.
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Vec<u8>,
    /// What an error message says was tried…
    pub(crate) operation: Operation,
    /// … and on what.
    pub(crate) object: String,
}

impl Message {
    /// A request to rtnetlink; `flags` beside NLM_F_REQUEST.
    pub(crate) fn route(
        operation: Operation,
        object: impl Into<String>,
        flags: u16,
        payload: &RouteNetlinkMessage,
    ) -> Self {
        let mut body = vec![0; payload.buffer_len()];
        payload.serialize(&mut body);
        Self {
            kind: payload.message_type(),
            flags,
            body,
            operation,
            object: object.into(),
        }
    }

    pub(super) fn write(&self, sequence: u32, extra_flags: u16, out: &mut Vec<u8>) {
        // Bodies are a few hundred bytes; the connection refuses what a socket could not send anyway.
        let length = (HEADER_LEN + self.body.len()) as u32;
        out.extend_from_slice(&length.to_ne_bytes());
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&(self.flags | extra_flags | netlink_packet_core::NLM_F_REQUEST).to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&0_u32.to_ne_bytes());
        out.extend_from_slice(&self.body);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// One message from the kernel, header taken apart.
pub(crate) struct Reply<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The first message of a datagram, and what follows it; `None` at its end or where its length lies.
    pub(crate) fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, _) = datagram.split_first_chunk::<HEADER_LEN>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let reply = Self {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body: datagram.get(HEADER_LEN..length)?,
        };
        Some((reply, datagram.get(length.next_multiple_of(4)..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message = Message {
            kind: 7,
            flags: 0x100,
            body: vec![1, 2, 3, 4, 5],
            operation: Operation::FindLink,
            object: String::new(),
        };
        let mut datagram = Vec::new();
        message.write(41, 0, &mut datagram);
        message.write(42, 4, &mut datagram);
        let (first, rest) = Reply::split(&datagram).unwrap();
        assert_eq!(
            (first.kind, first.flags, first.sequence, first.body),
            (7, 0x101, 41, &[1, 2, 3, 4, 5][..])
        );
        let (second, rest) = Reply::split(rest).unwrap();
        assert_eq!(second.sequence, 42);
        assert!(rest.is_empty());
    }

    #[test]
    fn lengths_that_lie_end_the_datagram() {
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut datagram = vec![0; HEADER_LEN];
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(Reply::split(&datagram).is_none(), "{length}");
        }
    }
}
