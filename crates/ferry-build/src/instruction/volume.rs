//! VOLUME: paths that get a volume in each container.

use serde_json::{Map, Value};

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "VOLUME",
    usage: "VOLUME <path> …",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Volume {
    paths: Vec<String>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    let paths = arguments.list()?;
    if paths.iter().any(|path| path.trim().is_empty()) || paths.is_empty() {
        return Err(arguments.count("paths that are not empty"));
    }
    step(Volume { paths })
}

impl Instruction for Volume {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let mut paths = Vec::new();
        for written in &self.paths {
            paths.push(stage.expand(written)?);
        }
        stage.record(format!("VOLUME [{}]", paths.join(" ")));
        for path in paths {
            let nothing = Value::Object(Map::new());
            stage.image.config.volumes.insert(path, nothing);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn volumes() {
        let image = apply("ENV v=/c\nVOLUME /a \"/b\"\nVOLUME [\"$v\", \"/d e\"]");
        let paths: Vec<&String> = image.config.volumes.keys().collect();
        assert_eq!(paths, ["/a", "/b", "/c", "/d e"]);
        assert_eq!(image.created_by(1), "VOLUME [/a /b]");
        assert_eq!(fault("VOLUME [\"\"]"), "VOLUME requires paths that are not empty");
    }
}
