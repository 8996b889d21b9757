//! One message on a seqpacket socket: bytes and descriptors, in a memfd when the bytes are many.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::{Errno, pread, retry_on_intr, write},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recv, recvmsg, sendmsg,
    },
};

/// A received message.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) body: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Bodies above this travel in a memfd: a socket takes about 200 KiB by default.
const INLINE_MAX_BYTES: usize = 64 * 1024;
/// Nothing that is sent comes near this.
const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;
const DESCRIPTORS_MAX: usize = 8;

const INLINE: u8 = 0;
const IN_MEMFD: u8 = 1;

/// Sends a frame, waiting while the socket is full.
pub(crate) fn send(socket: BorrowedFd<'_>, body: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket, body, descriptors, SendFlags::NOSIGNAL)
}

/// Sends a frame, or fails with `WouldBlock` when the socket is full.
pub(crate) fn try_send(socket: BorrowedFd<'_>, body: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket, body, descriptors, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

/// Waits for a frame; `None` once the peer is gone.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Frame>> {
    receive_with(socket, RecvFlags::empty())
}

/// Takes a frame that has arrived, or fails with `WouldBlock`; `None` once the peer is gone.
pub(crate) fn try_receive(socket: BorrowedFd<'_>) -> io::Result<Option<Frame>> {
    receive_with(socket, RecvFlags::DONTWAIT)
}

fn send_with(socket: BorrowedFd<'_>, body: &[u8], descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
    if body.len() > BODY_MAX_BYTES || descriptors.len() >= DESCRIPTORS_MAX {
        return Err(Errno::MSGSIZE.into());
    }
    if body.len() <= INLINE_MAX_BYTES {
        return send_packet(
            socket,
            &[IoSlice::new(&[INLINE]), IoSlice::new(body)],
            descriptors,
            flags,
        );
    }
    let memfd = memfd_create("frame", MemfdFlags::CLOEXEC)?;
    let mut rest = body;
    while !rest.is_empty() {
        let written = retry_on_intr(|| write(&memfd, rest))?;
        rest = &rest[written..];
    }
    let all: Vec<BorrowedFd<'_>> = descriptors.iter().copied().chain([memfd.as_fd()]).collect();
    send_packet(socket, &[IoSlice::new(&[IN_MEMFD])], &all, flags)
}

fn send_packet(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    retry_on_intr(|| sendmsg(socket, parts, &mut control, flags))?;
    Ok(())
}

fn receive_with(socket: BorrowedFd<'_>, flags: RecvFlags) -> io::Result<Option<Frame>> {
    // The packet's true length, so that a small message costs a small buffer.
    let mut nothing = [0_u8; 0];
    let peek = flags | RecvFlags::PEEK | RecvFlags::TRUNC;
    let (_, packet_bytes) = match retry_on_intr(|| recv(socket, &mut nothing, peek)) {
        // A peer that has closed before it read everything is an error once; its last words follow.
        Err(Errno::CONNRESET) => retry_on_intr(|| recv(socket, &mut nothing, peek))?,
        received => received?,
    };
    let mut packet = vec![0; packet_bytes.min(INLINE_MAX_BYTES + 1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = retry_on_intr(|| {
        recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut packet)],
            &mut control,
            flags | RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = part {
            descriptors.extend(list);
        }
    }
    if message.bytes == 0 {
        return Ok(None);
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE.into());
    }
    packet.truncate(message.bytes);
    match packet.first() {
        Some(&INLINE) => {
            packet.remove(0);
            Ok(Some(Frame {
                body: packet,
                descriptors,
            }))
        }
        Some(&IN_MEMFD) => {
            let memfd = descriptors.pop().ok_or(Errno::BADMSG)?;
            Ok(Some(Frame {
                body: read_all(&memfd)?,
                descriptors,
            }))
        }
        _ => Err(Errno::BADMSG.into()),
    }
}

fn read_all(memfd: &OwnedFd) -> io::Result<Vec<u8>> {
    let size = usize::try_from(rustix::fs::fstat(memfd)?.st_size).unwrap_or(usize::MAX);
    if size > BODY_MAX_BYTES {
        return Err(Errno::MSGSIZE.into());
    }
    let mut body = vec![0; size];
    let mut filled = 0;
    while filled < size {
        let count = retry_on_intr(|| pread(memfd, &mut body[filled..], filled as u64))?;
        if count == 0 {
            return Err(Errno::BADMSG.into());
        }
        filled += count;
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn bodies_of_all_sizes_arrive_whole() {
        for size in [1, 1000, INLINE_MAX_BYTES, INLINE_MAX_BYTES + 1, 3_000_000] {
            let (left, right) = pair();
            let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            send(left.as_fd(), &body, &[left.as_fd()]).unwrap();
            let frame = receive(right.as_fd()).unwrap().unwrap();
            assert_eq!(frame.body, body);
            assert_eq!(frame.descriptors.len(), 1);
        }
    }

    #[test]
    fn a_peer_that_went_away_is_the_end() {
        let (left, right) = pair();
        drop(left);
        assert!(receive(right.as_fd()).unwrap().is_none());
    }

    #[test]
    fn the_last_words_of_a_peer_that_did_not_listen_arrive() {
        let (left, right) = pair();
        send(left.as_fd(), b"unread", &[]).unwrap();
        send(right.as_fd(), b"last words", &[]).unwrap();
        drop(right);
        assert_eq!(receive(left.as_fd()).unwrap().unwrap().body, b"last words");
        assert!(receive(left.as_fd()).unwrap().is_none());
    }

    #[test]
    fn nothing_there_would_block() {
        let (_left, right) = pair();
        let error = try_receive(right.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_body_beyond_the_bound_is_refused() {
        let (left, _right) = pair();
        assert!(send(left.as_fd(), &vec![0; BODY_MAX_BYTES + 1], &[]).is_err());
    }
}
