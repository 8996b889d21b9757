//! STOPSIGNAL: the signal that asks a container to stop.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "STOPSIGNAL",
    usage: "STOPSIGNAL <signal>",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct StopSignal {
    signal: String,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    step(StopSignal {
        signal: arguments.exactly_one()?.to_owned(),
    })
}

impl Instruction for StopSignal {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let signal = stage.expand(&self.signal)?;
        if !is_signal(&signal) {
            return Err(PlanFault::BadSignal { signal });
        }
        stage.record(format!("STOPSIGNAL {signal}"));
        stage.image.config.stop_signal = Some(signal);
        Ok(())
    }
}

/// Names of signal(7), as Docker takes them: with or without `SIG`, in any case.
const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// The highest signal number that Linux knows on any CPU but MIPS.
const LAST: u8 = 64;

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=LAST).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let (realtime, offset) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) | (_, Some("")) => return true,
        (Some(offset), _) => (true, offset.strip_prefix('+')),
        (_, Some(offset)) => (true, offset.strip_prefix('-')),
        _ => (false, None),
    };
    match offset {
        Some(offset) => offset.parse::<u8>().is_ok_and(|offset| offset <= 30),
        None => !realtime && NAMES.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn signals() {
        for signal in ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"] {
            let image = apply(&format!("ENV s={signal}\nSTOPSIGNAL $s"));
            assert_eq!(image.config.stop_signal.as_deref(), Some(signal));
        }
        for signal in ["SIGFOO", "0", "65", "SIGRTMIN-1", "-9"] {
            let expect = format!("invalid signal: {signal}");
            assert_eq!(fault(&format!("STOPSIGNAL {signal}")), expect);
        }
    }
}
