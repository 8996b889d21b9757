//! `list` and `ps`: containers, and processes of one.

use std::process::Command;

use ferry_runtime::bundle::{self, ContainerId, Error, Home};
use serde_json::Value;

use super::flags::{Format, List, Ps};
use super::{Failed, Outcome, print, print_json};

pub(super) fn list(home: &Home, list: &List) -> Outcome {
    let ids = home.ids()?;
    if list.quiet {
        let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
        return print(&lines);
    }
    let mut states = Vec::new();
    for id in &ids {
        match bundle::state(home, id) {
            Ok(state) => states.push(state),
            // Deleted meanwhile, or not yet begun.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if list.format == Format::Json {
        return print_json(&Value::Array(states));
    }
    let word = |state: &Value, member: &str| match &state[member] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let heads = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(states.iter().map(|state| {
        let mut row = ["id", "pid", "status", "bundle", "created"]
            .map(|member| word(state, member))
            .to_vec();
        row.push("root".to_owned());
        row.try_into().unwrap_or_default()
    }));
    print(&columns(&rows))
}

fn columns(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}

pub(super) fn ps(home: &Home, ps: &Ps) -> Outcome {
    let pids = bundle::processes(home, &ContainerId::parse(&ps.id)?)?;
    if ps.format == Format::Json {
        return print(&format!("{}\n", serde_json::to_string(&pids).unwrap_or_default()));
    }
    let options = if ps.options.is_empty() {
        &["-ef".to_owned()][..]
    } else {
        &ps.options[..]
    };
    let output = Command::new("ps")
        .args(options)
        .output()
        .map_err(Failed::io("execute ps"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failed::Usage(format!("ps {}: {said}", options.join(" "))));
    }
    print(
        &only(&String::from_utf8_lossy(&output.stdout), &pids)
            .ok_or_else(|| Failed::Usage(format!("ps {} prints no column PID", options.join(" "))))?,
    )
}

/// The head and the lines of these processes.
fn only(table: &str, pids: &[i32]) -> Option<String> {
    let mut lines = table.lines();
    let head = lines.next()?;
    let column = head.split_whitespace().position(|name| name == "PID")?;
    let is_wanted = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let wanted = std::iter::once(head).chain(lines.filter(is_wanted));
    Some(wanted.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_processes_are_shown() {
        let table = "UID PID CMD\nroot 1 init\nroot 22 sh\n";
        assert_eq!(only(table, &[22]).unwrap(), "UID PID CMD\nroot 22 sh\n");
        assert_eq!(only("UID CMD\n", &[1]), None);
    }
}
