//! A blocking netlink connection: several requests in one send, each acknowledged; listings; the kernel's own words.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr, protocols};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::attribute;
use super::message::{HEADER_LEN, Message, Reply};
use crate::error::{Error, Operation};
use crate::link_name::LinkName;

const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Acknowledgements with a text are well below this.
const ACK_BUFFER_LEN: usize = 8 * 1024;
/// The kernel fills datagrams of a listing up to 32 KiB, or the size of the reader's buffer if that is smaller.
const LISTING_BUFFER_LEN: usize = 64 * 1024;
/// A listing that changed while it was read is read again this often.
const LISTING_ATTEMPTS: u32 = 8;
/// The kernel's default for a socket; larger sends need the buffer raised first.
const DEFAULT_SEND_BUFFER_LEN: usize = 128 * 1024;

/// What is at the kernel's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Links, addresses, routes: `rtnetlink(7)`.
    Route,
    /// nf_tables, behind nfnetlink.
    Netfilter,
}

impl Protocol {
    fn number(self) -> isize {
        match self {
            Self::Route => protocols::NETLINK_ROUTE,
            Self::Netfilter => protocols::NETLINK_NETFILTER,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Route => "NETLINK_ROUTE",
            Self::Netfilter => "NETLINK_NETFILTER",
        }
    }
}

/// A netlink socket that belongs to the network namespace in which it was opened, wherever its user goes afterwards.
pub(crate) struct Connection {
    socket: Socket,
    protocol: Protocol,
    sequence: u32,
}

impl Connection {
    /// Opens a connection in the calling thread's network namespace.
    pub(crate) fn open(protocol: Protocol) -> Result<Self, Error> {
        let open = || {
            let socket = Socket::new(protocol.number())?;
            // Connected to the kernel, nobody else can send to us.
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            Ok(socket)
        };
        let socket =
            open().map_err(|error| Error::kernel(Operation::OpenNetlink, protocol.name(), errno_of(&error)))?;
        Ok(Self {
            socket,
            protocol,
            sequence: 0,
        })
    }

    /// Sends all messages at once and waits for the acknowledgement of each; the first refusal is the error.
    ///
    /// rtnetlink goes on after a refused message, so all of them have been tried when this returns.
    pub(crate) fn execute(&mut self, messages: &[Message]) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let first = self.send(messages, NLM_F_ACK)?;
        let mut awaited = messages.len();
        let mut outcome = Ok(());
        let mut buffer = Vec::with_capacity(ACK_BUFFER_LEN);
        while awaited > 0 {
            self.receive(&mut buffer)?;
            let mut rest = buffer.as_slice();
            while let Some((reply, tail)) = Reply::split(rest) {
                rest = tail;
                let Some(message) = addressee(messages, first, &reply) else {
                    continue;
                };
                if reply.kind == NLMSG_ERROR {
                    awaited -= 1;
                    outcome = outcome.and(acknowledgement(message, &reply));
                }
            }
        }
        outcome
    }

    /// Sends a transaction of nf_tables, in which only the last message before its end asks for an acknowledgement:
    /// either that one comes alone, or the refusals come before it.
    pub(crate) fn commit(&mut self, messages: &[Message]) -> Result<(), Error> {
        let first = self.send(messages, 0)?;
        let mut buffer = Vec::with_capacity(ACK_BUFFER_LEN);
        loop {
            self.receive(&mut buffer)?;
            let mut rest = buffer.as_slice();
            while let Some((reply, tail)) = Reply::split(rest) {
                rest = tail;
                let Some(message) = addressee(messages, first, &reply) else {
                    continue;
                };
                if reply.kind == NLMSG_ERROR {
                    return acknowledgement(message, &reply);
                }
            }
        }
    }

    /// Asks for one object; `None` if the kernel says there is no such thing.
    pub(crate) fn get<T>(
        &mut self,
        message: &Message,
        absent: &[Errno],
        parse: impl Fn(&Reply<'_>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let first = self.send(std::slice::from_ref(message), 0)?;
        let mut buffer = Vec::with_capacity(LISTING_BUFFER_LEN);
        loop {
            self.receive(&mut buffer)?;
            let mut rest = buffer.as_slice();
            while let Some((reply, tail)) = Reply::split(rest) {
                rest = tail;
                if reply.sequence != first {
                    continue;
                }
                if reply.kind != NLMSG_ERROR {
                    return parse(&reply)
                        .map(Some)
                        .ok_or_else(|| malformed(message, "an attribute is missing"));
                }
                return match acknowledgement(message, &reply) {
                    Err(Error::Kernel { errno, .. }) if absent.contains(&errno) => Ok(None),
                    Err(error) => Err(error),
                    Ok(()) => Err(malformed(message, "an acknowledgement instead of the object")),
                };
            }
        }
    }

    /// The index of an interface of the connection's namespace, by an ioctl: a tenth of the time of asking rtnetlink,
    /// which describes the whole interface. `netdevice(7)`, SIOCGIFINDEX
    pub(crate) fn link_index(&self, name: &LinkName) -> Result<u32, Error> {
        rustix::net::netdevice::name_to_index(&self.socket, name.as_str())
            .map_err(|errno| Error::kernel(Operation::FindLink, name.as_str(), errno))
    }

    /// Lists objects, each through `parse`, which leaves out what it answers with `None`.
    pub(crate) fn list<T>(
        &mut self,
        message: &Message,
        parse: impl Fn(&Reply<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..LISTING_ATTEMPTS {
            if let Some(items) = self.list_once(message, &parse)? {
                return Ok(items);
            }
        }
        Err(Error::Unsteady {
            operation: message.operation,
            object: message.object.clone(),
            attempts: LISTING_ATTEMPTS,
        })
    }

    /// `None` if the listing changed meanwhile.
    fn list_once<T>(
        &mut self,
        message: &Message,
        parse: &impl Fn(&Reply<'_>) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let first = self.send(std::slice::from_ref(message), NLM_F_DUMP)?;
        let mut items = Vec::new();
        let mut steady = true;
        let mut buffer = Vec::with_capacity(LISTING_BUFFER_LEN);
        loop {
            self.receive(&mut buffer)?;
            let mut rest = buffer.as_slice();
            while let Some((reply, tail)) = Reply::split(rest) {
                rest = tail;
                if reply.sequence != first {
                    continue;
                }
                steady &= reply.flags & NLM_F_DUMP_INTR == 0;
                match reply.kind {
                    // Both begin with an error number; that of a finished listing is normally zero.
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match acknowledgement(message, &reply) {
                            Err(Error::Kernel { errno: Errno::INTR, .. }) => Ok(None),
                            Err(error) => Err(error),
                            Ok(()) => Ok(steady.then_some(items)),
                        };
                    }
                    _ => items.extend(parse(&reply)),
                }
            }
        }
    }

    /// Sends the messages in one datagram and returns the sequence number of the first.
    fn send(&mut self, messages: &[Message], extra_flags: u16) -> Result<u32, Error> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::with_capacity(messages.iter().map(|message| HEADER_LEN + message.body.len() + 4).sum());
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.write(self.sequence, extra_flags, &mut datagram);
        }
        let failed = |errno| Error::kernel(Operation::SendNetlink, self.protocol.name(), errno);
        if datagram.len() > DEFAULT_SEND_BUFFER_LEN {
            rustix::net::sockopt::set_socket_send_buffer_size_force(&self.socket, datagram.len()).map_err(failed)?;
        }
        loop {
            match self.socket.send(&datagram, 0) {
                Ok(_) => return Ok(first),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(errno_of(&error))),
            }
        }
    }

    /// Reads one datagram.
    fn receive(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let failed = |errno| Error::kernel(Operation::ReceiveNetlink, self.protocol.name(), errno);
        loop {
            buffer.clear();
            match self.socket.recv(buffer, RecvFlags::TRUNC.bits().cast_signed()) {
                Ok(length) if length <= buffer.len() => return Ok(()),
                Ok(_) => return Err(failed(Errno::MSGSIZE)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(errno_of(&error))),
            }
        }
    }
}

/// Which of the messages an answer is for; answers to earlier requests that failed half-way are for none.
fn addressee<'a>(messages: &'a [Message], first: u32, reply: &Reply<'_>) -> Option<&'a Message> {
    messages.get(usize::try_from(reply.sequence.wrapping_sub(first)).ok()?)
}

/// Reads `struct nlmsgerr`: a negative error number or zero, the request's header, and attributes with the reason.
fn acknowledgement(message: &Message, reply: &Reply<'_>) -> Result<(), Error> {
    let Some((code, rest)) = reply.body.split_first_chunk() else {
        return Err(malformed(message, "an acknowledgement without error number"));
    };
    let code = i32::from_ne_bytes(*code);
    if code >= 0 {
        return Ok(());
    }
    let explanation = if reply.kind == NLMSG_ERROR {
        explanation(reply.flags, rest)
    } else {
        None
    };
    Err(Error::Kernel {
        operation: message.operation,
        object: message.object.clone(),
        errno: Errno::from_raw_os_error(code.wrapping_neg()),
        explanation,
    })
}

fn explanation(flags: u16, rest: &[u8]) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request_len = if flags & NLM_F_CAPPED != 0 {
        HEADER_LEN
    } else {
        usize::try_from(u32::from_ne_bytes(*rest.first_chunk()?))
            .ok()?
            .next_multiple_of(4)
    };
    attribute::find_text(rest.get(request_len..)?, NLMSGERR_ATTR_MSG)
}

fn malformed(message: &Message, defect: &'static str) -> Error {
    Error::Malformed {
        operation: message.operation,
        object: message.object.clone(),
        defect,
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
