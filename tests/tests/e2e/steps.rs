//! `kill -9` at each step of what happens to a container. What was asked for is then done or not, never half: the next command
//! starts the engine, the container is in a legal state that the kernel shares, the same command succeeds, and nothing is left.

use std::fs;
use std::time::Duration;

use ferry_tests::{Engine, Process, Step, Tracer, eventually, has_program};

/// What is done to a container.
#[derive(Debug, Clone, Copy)]
struct Act {
    /// Brings a container to where the act begins.
    before: &'static str,
    /// The act.
    line: &'static str,
    /// Who has a part in it.
    victims: &'static [Victim],
    /// The states that a container may be in when the act was cut short; none for a container that is not there.
    states: &'static [Option<&'static str>],
}

const CREATE: &str = "ferry create --name one -v /:/host:ro busybox sleep 300";
const START: &str = "ferry start one";
const EXEC: &str = "ferry exec one true";
const STOP: &str = "ferry stop -t 0 one";
const RM: &str = "ferry rm one";

const ALL: &[Victim] = &[Victim::Engine, Victim::Zygote, Victim::Monitor];

const ACTS: &[Act] = &[
    Act {
        before: "true",
        line: CREATE,
        victims: &[Victim::Engine, Victim::Zygote],
        states: &[None, Some("created")],
    },
    Act {
        before: CREATE,
        line: START,
        victims: &[Victim::Engine, Victim::Zygote],
        states: &[Some("created"), Some("running"), Some("exited")],
    },
    Act {
        before: "ferry run -d --name one busybox sleep 300",
        line: EXEC,
        victims: ALL,
        states: &[Some("running"), Some("exited")],
    },
    Act {
        before: "ferry run -d --name one busybox sleep 300",
        line: STOP,
        victims: ALL,
        states: &[Some("running"), Some("exited")],
    },
    Act {
        before: "ferry run --name one busybox true",
        line: RM,
        victims: &[Victim::Engine, Victim::Zygote],
        states: &[None, Some("exited")],
    },
];

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Engine,
    /// With the monitors it makes, and what these make.
    Zygote,
    /// The container's own, which the container does not outlive.
    Monitor,
}

impl Victim {
    fn of(self, engine: &Engine) -> Process {
        match self {
            Self::Engine => engine.process(),
            Self::Zygote => engine.zygote(),
            Self::Monitor => engine.monitor_of("one"),
        }
    }
}

fn state(engine: &Engine) -> Option<String> {
    let listed = engine
        .sh("ferry ps -a --filter name=one --format '{{.State}}'")
        .succeeds()
        .text();
    (!listed.is_empty()).then_some(listed)
}

fn clear(engine: &Engine) {
    engine.sh("ferry rm -f one");
    eventually("nothing of the container is left", || {
        let folders = [
            engine.exec_root().join("containers"),
            engine.data_root().join("containers"),
            engine.data_root().join("snapshots"),
        ];
        let is_empty = |folder| fs::read_dir(folder).into_iter().flatten().next().is_none();
        folders.iter().all(is_empty).then_some(())
    });
}

/// The act, killed at `step`; whether anybody was killed.
fn cut_short(engine: &Engine, act: Act, victim: Victim, step: &Step) -> bool {
    engine.sh(act.before).succeeds();
    let process = victim.of(engine);
    let tracer = Tracer::kill_at(&[process], engine.host().path("trace"), step);
    let acted = engine.sh(act.line);
    let was_killed = tracer.has_killed();
    engine.comes_back();
    let state = state(engine);
    assert!(
        act.states.contains(&state.as_deref()),
        "{} was cut short at {step:?} of {victim:?}: the container is {state:?}",
        act.line
    );
    let is_done = match act.line {
        CREATE => state.is_some(),
        START => state.as_deref() == Some("running"),
        STOP => state.as_deref() == Some("exited"),
        RM => state.is_none(),
        _ => false,
    };
    let was_acknowledged = acted.code() == 0 && act.line != EXEC;
    let has_ended = state.as_deref() == Some("exited");
    // The container's own process, or its monitor, may have been the one that died.
    let has_run = act.line == START && victim == Victim::Zygote && has_ended;
    let may_end = act.line != EXEC || victim == Victim::Monitor;
    assert!(may_end || !has_ended, "{step:?} of {victim:?}: the container ended");
    assert!(
        is_done || has_run || !was_acknowledged,
        "{} succeeded and was lost at {step:?} of {victim:?}: {state:?}",
        act.line
    );
    if state.as_deref() == Some("running") {
        assert!(!engine.init_of("one").is_gone());
        engine.sh("ferry exec one true").succeeds();
    }
    if act.line == EXEC && has_ended {
        engine.sh(START).succeeds();
    }
    if !is_done {
        engine.sh(act.line).succeeds();
    }
    clear(engine);
    was_killed
}

fn cut_short_at_each_step(victim: Victim) {
    if !has_program("strace") {
        return;
    }
    let Some(engine) = Engine::with_busybox() else { return };
    let mut kills = 0;
    for act in ACTS.iter().filter(|act| act.victims.contains(&victim)) {
        engine.sh("ferry run --rm busybox true").succeeds();
        engine.sh(act.before).succeeds();
        let recorder = Tracer::record(&[victim.of(&engine)], engine.host().path("trace"));
        engine.sh(act.line).succeeds();
        // What it does after it has answered is a step as well.
        std::thread::sleep(Duration::from_millis(300));
        let steps = recorder.steps();
        clear(&engine);
        for step in steps {
            kills += usize::from(cut_short(&engine, *act, victim, &step));
        }
    }
    assert!(kills > 10, "only {kills} kills");
}

#[test]
fn the_engine_dies_at_each_step() {
    cut_short_at_each_step(Victim::Engine);
}

#[test]
fn the_zygote_and_what_it_makes_die_at_each_step() {
    cut_short_at_each_step(Victim::Zygote);
}

#[test]
fn the_monitor_dies_at_each_step() {
    cut_short_at_each_step(Victim::Monitor);
}
