//! Sends a signal to a container's process.

use std::sync::Arc;

use ferry_runtime::Signal;

use super::{Container, Error, Phase};
use crate::Engine;

impl Engine {
    /// Sends `signal` (`SIGTERM`, `TERM`, `15`) to the process. Docker Engine API `ContainerKill`.
    pub async fn kill_container(&self, wanted: &str, signal: &str) -> Result<(), Error> {
        let container = self.containers.find(wanted)?;
        let signal = parse_signal(signal)?;
        if container.state.borrow().phase == Phase::Restarting {
            // A start may be under way: then there is somebody to hear it.
            let _lifecycle = container.lifecycle.lock().await;
            if container.state.borrow().phase == Phase::Restarting {
                return self.signal_container(&container, signal).await;
            }
        }
        self.signal_container(&container, signal).await?;
        let mut attributes = container.attributes();
        attributes.insert("signal".to_owned(), signal.number().to_string());
        self.events.send("container", "kill", container.id.as_str(), attributes);
        Ok(())
    }
}

impl Engine {
    /// Sends a signal to the process. A paused container that is asked to end is thawed: as in Docker,
    /// by SIGKILL, its own stop signal, or any signal if it has none of its own.
    pub(super) async fn signal_container(&self, container: &Arc<Container>, signal: Signal) -> Result<(), Error> {
        let asks_to_end = || match container.config.stop_signal.as_deref().map(parse_signal) {
            Some(Ok(own)) => signal == own || signal == Signal::KILL,
            Some(Err(_)) | None => true,
        };
        match container.monitor() {
            Ok(_) => {}
            // Nobody is there to hear it, but who would start it does.
            Err(Error::Restarting(_)) => return self.note_signal(container, asks_to_end()).await,
            Err(error) => return Err(error),
        }
        self.note_signal(container, asks_to_end()).await?;
        {
            let _not_freezing = container.freezing.read().await;
            let sent = match container.monitor() {
                Ok(launched) => launched.monitor().signal(signal).map_err(Error::Runtime),
                Err(error) => Err(error),
            };
            match sent {
                // It has ended by itself meanwhile, and stays so: that is what was asked for.
                Err(
                    Error::NotRunning(_)
                    | Error::Runtime(ferry_runtime::Error::NotRunning | ferry_runtime::Error::MonitorDied),
                ) if asks_to_end() => {}
                sent => sent?,
            }
        }
        if container.state.borrow().is_paused() && asks_to_end() {
            match self.thaw(container).await {
                // Another caller was faster, or there is nobody left to thaw.
                Ok(()) | Err(Error::NotPaused(_) | Error::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Names of signals on Linux, without `SIG`, at the place of their number. Source: `signal(7)`.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "PWR", "SYS",
];
const FIRST_REAL_TIME: i32 = 34;
const LAST_REAL_TIME: i32 = 64;

/// A signal by name, with or without `SIG`, in any case; `RTMIN+n`, `RTMAX-n`; or by number.
pub(super) fn parse_signal(text: &str) -> Result<Signal, Error> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let number = if let Ok(number) = text.parse::<i32>() {
        Some(number)
    } else if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest, '+').and_then(|plus| FIRST_REAL_TIME.checked_add(plus))
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest, '-').and_then(|minus| LAST_REAL_TIME.checked_sub(minus))
    } else {
        let at = NAMES.iter().position(|known| !name.is_empty() && *known == name);
        at.and_then(|at| i32::try_from(at).ok())
    };
    number
        .and_then(|number| Signal::try_from(number).ok())
        .ok_or_else(|| Error::InvalidSignal(text.chars().take(40).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_or_numbered() {
        let check = |text: &str, number: Option<i32>| {
            assert_eq!(parse_signal(text).ok().map(Signal::number), number, "{text}");
        };
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            check(text, Some(15));
        }
        check("SIGRTMIN+3", Some(37));
        check("RTMAX-1", Some(63));
        check("SYS", Some(31));
        for text in ["", "SIG", "0", "65", "-1", "FOO", "RTMIN+99", "RTMAX-2147483648"] {
            check(text, None);
        }
    }
}
