//! `start`: lets the process that waits become its program.

use std::os::fd::AsFd;

use super::{
    ContainerId, Error, Home, Record, Status, Warnings, delete,
    status::{connect_to_start, state_bytes, status},
};
use crate::{
    container::hook,
    protocol::{self, Event},
};

/// Starts a created container; returns when its program runs. If that cannot be executed its process has ended.
pub fn start(home: &Home, id: &ContainerId) -> Result<Warnings, Error> {
    let record = Record::load(home, id)?;
    let refuse = |status| {
        Err(Error::Status {
            operation: "start",
            id: id.to_string(),
            status,
        })
    };
    if record.process.is_none() {
        return refuse(Status::Creating);
    }
    let Ok(waiting) = connect_to_start(home, id) else {
        return refuse(status(home, id, &record)?);
    };
    if !record.has_program {
        // It fails as a program does that cannot be executed: its process is gone.
        delete::end(id, record.process)?;
        return Err(Error::Config {
            member: "process",
            problem: "is missing".to_owned(),
        });
    }
    let fault = |error| Error::file("send to", home.folder(id))(error);
    protocol::send(waiting.as_fd(), &state_bytes(&record, Status::Created), &[]).map_err(fault)?;
    // Its end is closed when its program begins; until then it has something to say.
    if let Some(frame) = protocol::receive(waiting.as_fd()).map_err(fault)? {
        return Err(match serde_json::from_slice(&frame.body) {
            Ok(Event::NotStarted(error)) => error.into(),
            _ => crate::Fault::Died.into(),
        });
    }
    let mut warnings = Vec::new();
    if record.hooks_after_start {
        let spec = record.spec(home, id)?;
        let hooks = spec.hooks().as_ref().and_then(|hooks| hooks.poststart().clone());
        let state = state_bytes(&record, Status::Running);
        for hook in hooks.iter().flatten() {
            if let Err(fault) = hook::run(hook, "poststart", &state) {
                warnings.push(fault.to_string());
            }
        }
    }
    Ok(warnings)
}
