//! EXPOSE: says which ports a container listens on.

use serde_json::{Map, Value};

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "EXPOSE",
    usage: "EXPOSE <port>[-<port>][/<protocol>] …",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Expose {
    ports: Vec<String>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    step(Expose {
        ports: arguments.words().into_iter().map(str::to_owned).collect(),
    })
}

impl Instruction for Expose {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let mut ports = Vec::new();
        for written in &self.ports {
            // A variable may hold several ports.
            for word in stage.expand_words(written)? {
                let named = || Fault::BadPort { port: word.clone() };
                ports.extend(range(&word).ok_or_else(named)?);
            }
        }
        ports.sort();
        ports.dedup();
        let texts: Vec<String> = ports
            .into_iter()
            .map(|(port, protocol)| format!("{port}/{protocol}"))
            .collect();
        stage.record(format!("EXPOSE [{}]", texts.join(" ")));
        for port in texts {
            let nothing = Value::Object(Map::new());
            stage.image.config.exposed_ports.insert(port, nothing);
        }
        Ok(())
    }
}

/// The ports of `80`, `80-82`, `80/udp`.
fn range(word: &str) -> Option<Vec<(u16, String)>> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = match protocol {
        "" => "tcp".to_owned(),
        protocol => protocol.to_ascii_lowercase(),
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return None;
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| (first..=last).map(|port| (port, protocol.clone())).collect())
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn ports() {
        let image = apply("ENV p=\"90 91/udp\"\nEXPOSE 80 $p 100-101/SCTP");
        let ports: Vec<&String> = image.config.exposed_ports.keys().collect();
        assert_eq!(ports, ["100/sctp", "101/sctp", "80/tcp", "90/tcp", "91/udp"]);
        assert_eq!(image.created_by(1), "EXPOSE [80/tcp 90/tcp 91/udp 100/sctp 101/sctp]");
    }

    #[test]
    fn faults() {
        for port in ["x", "80/xyz", "65536", "9-8", "-1"] {
            let expect = format!("invalid containerPort: {port}");
            assert_eq!(fault(&format!("EXPOSE {port}")), expect);
        }
    }
}
