//! The loop of a monitor: one process, its output, its clients, its engine.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use ferry_sys::process::{Child, exit_now};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SocketFlags, accept_with},
    process::{WaitId, WaitIdOptions, waitid},
};
use time::OffsetDateTime;

use super::{
    answer,
    belongings::Belongings,
    client::{Client, Received},
    ending::Record,
    input::Input,
    output::{CHUNK_BYTES, Got, Output},
    streams::Ends,
};
use crate::{
    Exit, StartError, Warning,
    container::arrival,
    emulation,
    log::Keeper,
    protocol::{self, Answer, Event, Refusal},
};

/// The process that is watched.
#[derive(Debug)]
pub(super) struct Ward {
    pub(super) child: Child,
    /// The way to it until it executes its program.
    pub(super) channel: Option<OwnedFd>,
    pub(super) warnings: Vec<Warning>,
}

/// A process that waits to be started, and everything for its watching.
#[derive(Debug)]
pub(super) struct Newborn {
    pub(super) ward: Ward,
    pub(super) ends: Ends,
    pub(super) keeper: Keeper,
    pub(super) record: Record,
    pub(super) belongings: Belongings,
    /// Held for as long as the container lives, for the emulators are gone with the last holder.
    pub(super) emulation: Option<emulation::Namespace>,
}

/// How far the process is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It waits to be started.
    Created,
    /// It was told to go on, by this connection.
    Starting {
        by: u64,
    },
    Running {
        since: OffsetDateTime,
    },
    /// It ended; what it wrote is still being read.
    Draining {
        exit: Exit,
        since: Instant,
        idle_since: Instant,
    },
    /// All is over and told.
    Ended(Exit),
    /// It never was what it should be: nothing remains to be told.
    Undone,
}

/// A connection of an engine.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) id: u64,
    pub(super) socket: OwnedFd,
}

/// Everything that a monitor has to do with.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) ward: Ward,
    pub(super) stage: Stage,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) clients: Vec<Client>,
    pub(super) watchers: Vec<OwnedFd>,
    pub(super) record: Record,
    outputs: Vec<Output>,
    pub(super) input: Input,
    pub(super) keeper: Keeper,
    belongings: Option<Belongings>,
    emulation: Option<emulation::Namespace>,
    controls: Vec<Control>,
    next_control: u64,
    buffer: Vec<u8>,
}

/// What a descriptor in the poll set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Channel,
    Process,
    Listener,
    Output(usize),
    Input,
    Client(usize),
    Control(usize),
}

/// The connection that ordered the process; until that is started it holds its life.
const CREATOR: u64 = 0;
/// How long output may pause after the process' end while others still hold its pipes.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
/// How long output is read after the process' end at all.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long clients may take to read the last output once everything else is done.
const FAREWELL: Duration = Duration::from_secs(30);
/// After this long without anything to do, memory is given back.
const REST_AFTER: Duration = Duration::from_millis(500);
const CONTROLS_MAX: usize = 256;

impl Supervisor {
    pub(super) fn new(newborn: Newborn) -> Supervisor {
        Supervisor {
            ward: newborn.ward,
            stage: Stage::Created,
            terminal: newborn.ends.terminal,
            clients: Vec::new(),
            watchers: Vec::new(),
            record: newborn.record,
            outputs: newborn.ends.outputs,
            input: newborn.ends.input,
            keeper: newborn.keeper,
            belongings: Some(newborn.belongings),
            emulation: newborn.emulation,
            controls: Vec::new(),
            next_control: CREATOR,
            buffer: Vec::new(),
        }
    }

    /// Watches to the end, and ends.
    pub(super) fn run(mut self, creator: OwnedFd) -> ! {
        let created = Answer::Created {
            pid: self.ward.child.pid,
            warnings: std::mem::take(&mut self.ward.warnings),
        };
        answer(&creator, &created, &[]);
        self.add_control(creator);
        let mut rested = false;
        while !self.is_over() {
            let timeout = self.timeout(rested);
            let events = self.wait(timeout);
            rested = events.is_empty();
            if rested {
                self.rest();
            }
            for (token, flags) in events {
                self.handle(token, flags);
            }
            self.drop_gone();
            self.advance();
        }
        self.conclude()
    }

    /// Whether the container lives in a user namespace other than the engine's.
    pub(super) fn has_user_namespace(&self) -> bool {
        self.emulation.is_some()
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended(_) | Stage::Undone)
    }

    fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. })
    }

    fn timeout(&self, rested: bool) -> Option<Duration> {
        match self.stage {
            Stage::Draining { idle_since, .. } => Some(DRAIN_PATIENCE.saturating_sub(idle_since.elapsed())),
            _ if rested => None,
            _ => Some(REST_AFTER),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Vec<(Token, PollFlags)> {
        let mut tokens = Vec::with_capacity(16);
        let mut set = Vec::with_capacity(16);
        self.each_wanted(|token, descriptor, flags| {
            tokens.push(token);
            set.push(PollFd::from_borrowed_fd(descriptor, flags));
        });
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut set, timeout.as_ref()) {
            Ok(_) => tokens
                .into_iter()
                .zip(set.iter().map(PollFd::revents))
                .filter(|(_, flags)| !flags.is_empty())
                .collect(),
            Err(_) => Vec::new(),
        }
    }

    fn each_wanted<'a>(&'a self, mut want: impl FnMut(Token, BorrowedFd<'a>, PollFlags)) {
        if let Some(channel) = &self.ward.channel {
            want(Token::Channel, channel.as_fd(), PollFlags::IN);
        }
        // Reading stops while a client is behind: then the process waits, as it does for a full pipe.
        // Once the process has ended, what is left in its pipes is little, and the log wants it.
        if self.is_draining() || !self.clients.iter().any(Client::is_full) {
            for (index, output) in self.outputs.iter().enumerate() {
                want(Token::Output(index), output.descriptor(), PollFlags::IN);
            }
        }
        if !self.is_draining() {
            want(Token::Process, self.ward.child.pidfd.as_fd(), PollFlags::IN);
        }
        if let Some(listener) = self.belongings.as_ref().and_then(Belongings::listener) {
            want(Token::Listener, listener.as_fd(), PollFlags::IN);
        }
        if let Some(sink) = self.input.waiting() {
            want(Token::Input, sink, PollFlags::OUT);
        }
        for (index, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::OUT, client.is_behind());
            // One that writes faster than the process reads is not listened to, not even for its end.
            let blocked = client.may_write() && self.input.is_open() && !self.input.has_room();
            flags.set(PollFlags::IN, client.may_write() && !blocked);
            if !(blocked && flags.is_empty()) {
                want(Token::Client(index), client.descriptor(), flags);
            }
        }
        for (index, control) in self.controls.iter().enumerate() {
            want(Token::Control(index), control.socket.as_fd(), PollFlags::IN);
        }
    }

    fn handle(&mut self, token: Token, flags: PollFlags) {
        match token {
            Token::Channel => self.hear_ward(),
            Token::Process => self.process_ended(),
            Token::Listener => self.accept(),
            Token::Output(index) => self.pump(index),
            Token::Input => self.input.flush(),
            Token::Client(index) => self.serve_client(index, flags),
            Token::Control(index) => self.serve_control(index),
        }
    }

    /// The channel ends when the program is executed; words on it say that it could not be.
    fn hear_ward(&mut self) {
        let Some(channel) = &self.ward.channel else {
            return;
        };
        let event = match protocol::try_receive(channel.as_fd()) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            Ok(Some(frame)) => serde_json::from_slice(&frame.body).ok(),
            Ok(None) | Err(_) => None,
        };
        self.ward.channel = None;
        let by = match self.stage {
            Stage::Starting { by } => by,
            // It was killed while it waited; its end follows.
            _ => return,
        };
        match event {
            Some(Event::NotStarted(error)) => self.could_not_start(by, error),
            _ => {
                let since = OffsetDateTime::now_utc();
                self.stage = Stage::Running { since };
                self.answer_to(by, &Answer::Started { at: since });
            }
        }
    }

    fn could_not_start(&mut self, by: u64, error: StartError) {
        // First the end, so that a new attempt finds nothing of this one in its way.
        self.undo();
        self.answer_to(by, &Answer::Refused(Refusal::Start(error)));
    }

    /// Makes the process, and what was made for it, as if they had never been.
    fn undo(&mut self) {
        arrival::end(&self.ward.child);
        self.belongings = None;
        self.stage = Stage::Undone;
    }

    fn process_ended(&mut self) {
        let pidfd = WaitId::PidFd(self.ward.child.pidfd.as_fd());
        let status = match waitid(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(None) | Err(Errno::INTR) => return,
            Ok(status) => status,
            Err(_) => None,
        };
        // The channel's last word may have come with the end.
        self.hear_ward();
        let started_at = match self.stage {
            Stage::Running { since } => Some(since),
            Stage::Undone => return,
            _ => None,
        };
        self.input.close();
        if let (false, Some(cgroup)) = (self.record.private_pids, &self.record.cgroup) {
            // What it started lives in the host's or another's pid namespace, and ends with it.
            let _ = cgroup.kill_all();
        }
        self.stage = Stage::Draining {
            exit: self.record.describe(status.as_ref(), started_at),
            since: Instant::now(),
            idle_since: Instant::now(),
        };
    }

    fn accept(&mut self) {
        let Some(listener) = self.belongings.as_ref().and_then(Belongings::listener) else {
            return;
        };
        if let Ok(socket) = accept_with(listener, SocketFlags::CLOEXEC)
            && self.controls.len() < CONTROLS_MAX
        {
            self.add_control(socket);
        }
    }

    fn add_control(&mut self, socket: OwnedFd) {
        self.controls.push(Control {
            id: self.next_control,
            socket,
        });
        self.next_control += 1;
    }

    fn pump(&mut self, index: usize) {
        let Some(output) = self.outputs.get(index) else {
            return;
        };
        let stream = output.stream;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK_BYTES, 0);
        match output.read(&mut buffer) {
            Got::Bytes(count) => {
                let bytes = &buffer[..count];
                self.keeper.keep(stream, bytes, OffsetDateTime::now_utc());
                for client in &mut self.clients {
                    client.offer(stream, bytes);
                }
                if let Stage::Draining { idle_since, .. } = &mut self.stage {
                    *idle_since = Instant::now();
                }
            }
            Got::Nothing => {}
            Got::End => {
                self.keeper.end(stream, OffsetDateTime::now_utc());
                // Others of the same round keep their index: see `Output` of the next round.
                self.outputs.retain(|output| output.stream != stream);
            }
        }
        self.buffer = buffer;
    }

    fn serve_client(&mut self, index: usize, flags: PollFlags) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        if flags.contains(PollFlags::OUT) {
            client.flush();
        }
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && client.may_write() {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(CHUNK_BYTES, 0);
            match client.receive(&mut buffer[..CHUNK_BYTES / 2]) {
                Received::Bytes(count) => self.input.push(&buffer[..count]),
                Received::Nothing => {}
                Received::End => self.input.client_ended(),
            }
            self.buffer = buffer;
        } else if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            client.hung_up();
        }
    }

    fn serve_control(&mut self, index: usize) {
        let Some(control) = self.controls.get(index) else {
            return;
        };
        let id = control.id;
        match protocol::try_receive(control.socket.as_fd()) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(Some(frame)) => {
                let (reply, descriptor) = match self.fulfil(id, &frame.body) {
                    Some(reply) => reply,
                    None => return,
                };
                let descriptors: Vec<BorrowedFd<'_>> = descriptor.iter().map(AsFd::as_fd).collect();
                if let Some(control) = self.controls.get(index) {
                    answer(&control.socket, &reply, &descriptors);
                }
            }
            Ok(None) | Err(_) => self.control_left(id),
        }
    }

    fn control_left(&mut self, id: u64) {
        self.controls.retain(|control| control.id != id);
        if id == CREATOR && matches!(self.stage, Stage::Created) {
            self.undo();
        }
    }

    fn answer_to(&self, id: u64, reply: &Answer) {
        if let Some(control) = self.controls.iter().find(|control| control.id == id) {
            answer(&control.socket, reply, &[]);
        }
    }

    fn drop_gone(&mut self) {
        self.clients.retain(|client| !client.is_gone());
    }

    /// Ends the draining when all output is through, or has paused for too long.
    fn advance(&mut self) {
        let Stage::Draining {
            exit,
            since,
            idle_since,
        } = &self.stage
        else {
            return;
        };
        let is_enough = idle_since.elapsed() >= DRAIN_PATIENCE || since.elapsed() >= DRAIN_MAX;
        if !self.outputs.is_empty() && !is_enough {
            return;
        }
        let exit = exit.clone();
        for output in std::mem::take(&mut self.outputs) {
            self.keeper.end(output.stream, OffsetDateTime::now_utc());
        }
        // If the disk does not take it, watchers still hear it.
        let _ = self.record.write(&exit);
        self.stage = Stage::Ended(exit);
    }

    /// Tidies up, tells everybody, lets slow clients read their last, and ends.
    ///
    /// Whoever hears of the end may use the folder and the cgroup's name again at once. That costs
    /// him a tenth of a millisecond, for removing ten version 1 groups.
    fn conclude(mut self) -> ! {
        self.belongings = None;
        if let Stage::Ended(exit) = &self.stage {
            let body = serde_json::to_vec(exit).unwrap_or_default();
            for watcher in self.watchers.drain(..) {
                // A fresh socket takes a record; a watcher that is gone needs none.
                let _ = rustix::net::send(&watcher, &body, rustix::net::SendFlags::NOSIGNAL);
            }
            for index in 0..self.controls.len() {
                self.serve_control(index);
            }
        }
        self.controls.clear();
        self.watchers.clear();
        self.clients.retain(|client| client.is_behind() && !client.is_gone());
        self.emulation = None;
        let until = Instant::now() + FAREWELL;
        while !self.clients.is_empty() && Instant::now() < until {
            let timeout = until.saturating_duration_since(Instant::now());
            let mut set: Vec<PollFd<'_>> = self
                .clients
                .iter()
                .map(|client| PollFd::from_borrowed_fd(client.descriptor(), PollFlags::OUT))
                .collect();
            let _ = poll(&mut set, Timespec::try_from(timeout).ok().as_ref());
            for client in &mut self.clients {
                client.flush();
            }
            self.clients.retain(|client| client.is_behind() && !client.is_gone());
        }
        exit_now(0)
    }

    fn rest(&mut self) {
        self.buffer = Vec::new();
        self.keeper.rest();
        self.input.rest();
        for client in &mut self.clients {
            client.rest();
        }
        ferry_sys::memory::rest();
    }
}
