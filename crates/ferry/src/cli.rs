//! From arguments to a command's outcome: the tree of commands, global flags, and what a wrong command line gets.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::command::{self, Effect, Noun, Row};
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::{Globals, Invocation};
use crate::nearest::nearest;
use crate::terminal;

/// How flags without a value are declared to clap.
#[derive(Clone, Copy)]
enum Switches {
    /// As they are shown in a help text: `--rm`.
    Plain,
    /// As Go reads them, and so Docker: `--rm`, `--rm=true`, `--rm=0`.
    Go,
}

/// Runs the command that the process was asked for.
pub(crate) fn main() -> ExitStatus {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (invocation, row, matches) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let outcome = match row.effect {
        Effect::Client(run) => with_executor(|| run(&matches, &invocation)),
        Effect::Engine(serve) => serve(&matches),
    };
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            failure.report();
            failure.status()
        }
    }
}

fn with_executor<F: Future<Output = Outcome>>(run: impl FnOnce() -> F) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .explain(|| "cannot start")?;
    let outcome = runtime.block_on(async { run().await });
    // A thread that reads stdin would otherwise be waited for.
    runtime.shutdown_background();
    outcome
}

/// The whole tree, as help and completion need it.
pub(crate) fn tree() -> Command {
    root(Switches::Plain)
}

type Parsed = (Invocation, &'static Row, ArgMatches);

/// Reads the command line; what it gets wrong is reported here.
fn parse(arguments: &[OsString]) -> Result<Parsed, ExitStatus> {
    let mut matches = root(Switches::Go)
        .try_get_matches_from(arguments)
        .map_err(|error| refuse(&error, arguments))?;
    let globals = Globals::from_arg_matches(&matches).map_err(|error| refuse(&error, arguments))?;
    let Some((row, found)) = find(&mut matches) else {
        return Err(help(&overview()));
    };
    if let Some(failure) = flag_for_image(row, &found) {
        failure.report();
        return Err(failure.status());
    }
    Ok((Invocation::new(globals), row, found))
}

/// The command that was given, and what was given to it.
fn find(matches: &mut ArgMatches) -> Option<(&'static Row, ArgMatches)> {
    let (name, mut found) = matches.remove_subcommand()?;
    if let Some(row) = command::TOP.iter().find(|row| row.name == name) {
        return Some((row, found));
    }
    let noun = command::NOUNS.iter().find(|noun| noun.name == name)?;
    let (verb, found) = found.remove_subcommand()?;
    let row = noun.rows.iter().find(|row| row.name == verb)?;
    Some((row, found))
}

fn root(switches: Switches) -> Command {
    let command = Command::new("ferry")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Builds, ships and runs containers for any CPU")
        .override_usage("ferry [OPTIONS] COMMAND")
        .override_help(overview())
        .disable_help_subcommand(false)
        .args_override_self(true)
        .subcommand_required(false)
        .arg(
            clap::Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        )
        .disable_version_flag(true);
    Globals::augment_args(command)
        .subcommands(command::TOP.iter().map(|row| leaf(row, switches)))
        .subcommands(command::NOUNS.iter().map(|noun| branch(noun, switches)))
}

fn branch(noun: &'static Noun, switches: Switches) -> Command {
    Command::new(noun.name)
        .about(noun.about)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .subcommands(noun.rows.iter().map(|row| leaf(row, switches)))
}

fn leaf(row: &'static Row, switches: Switches) -> Command {
    let command = Command::new(row.name)
        .about(row.about)
        .visible_aliases(row.aliases)
        .hide(row.hidden);
    // Flags are declared only for the command that is asked for.
    match switches {
        Switches::Plain => command.defer(row.arguments),
        Switches::Go => command.defer(row.arguments_as_go),
    }
}

/// Lets the switches of a command take a value, as Go's do.
pub(crate) fn as_go(command: Command) -> Command {
    command.args_override_self(true).mut_args(|argument| {
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            argument
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .value_parser(ValueParser::new(go_bool))
        } else {
            argument
        }
    })
}

/// What Go's `strconv.ParseBool` takes.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// The help of the bare command: which commands there are.
fn overview() -> String {
    let mut text =
        String::from("Builds, ships and runs containers for any CPU\n\nUsage: ferry [OPTIONS] COMMAND\n\nCommands:\n");
    for row in command::TOP.iter().filter(|row| !row.hidden) {
        text.push_str(&format!("  {:<12}{}\n", row.name, row.about));
    }
    text.push_str("\nBy noun:\n");
    for noun in command::NOUNS {
        text.push_str(&format!("  {:<12}{}\n", noun.name, noun.about));
    }
    text.push_str(
        "\nOptions:
  -H, --host HOST        Engine to talk to: unix://PATH, tcp://HOST:PORT, ssh://[USER@]HOST
                         (default: Ferry's own, which is started if needed)
  -c, --context NAME     Docker context to talk to
      --config FOLDER    Folder of Docker's config.json
  -v, --version          Print the version
      --help             Print this

`ferry COMMAND --help` says more about a command.
",
    );
    text
}

fn help(text: &str) -> ExitStatus {
    match terminal::print(text) {
        Ok(()) => ExitStatus::SUCCESS,
        Err(_) => ExitStatus::FAILURE,
    }
}

/// Prints help, or says what is wrong with the command line.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitStatus {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Once more, with switches shown as people write them.
            match root(Switches::Plain).try_get_matches_from(arguments) {
                Err(plain) if plain.kind() == error.kind() => help(&plain.render().to_string()),
                _ => help(&error.render().to_string()),
            }
        }
        ErrorKind::DisplayVersion => help(&error.render().to_string()),
        kind => {
            let verb = verb_of(arguments);
            let failure = explain(error, verb.as_deref());
            failure.report();
            if kind == ErrorKind::UnknownArgument && verb.is_some() {
                // Docker's status for a flag that does not exist, whatever the command.
                return ExitStatus::ENGINE;
            }
            command::TOP
                .iter()
                .chain(command::NOUNS.iter().flat_map(|noun| noun.rows))
                .find(|row| verb.as_deref().is_some_and(|verb| verb.ends_with(row.name)))
                .map_or(ExitStatus::FAILURE, |row| row.usage_status)
        }
    }
}

/// The command that was meant, as `run` or `container run`, as far as it is one.
fn verb_of(arguments: &[OsString]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().skip(1).filter_map(|word| word.to_str()).collect();
    let known = |rows: &'static [Row], word: &str| {
        rows.iter()
            .find(|row| row.name == word || row.aliases.contains(&word))
            .map(|row| row.name)
    };
    words.iter().enumerate().find_map(|(at, word)| {
        if let Some(name) = known(command::TOP, word) {
            return Some(name.to_owned());
        }
        let noun = command::NOUNS.iter().find(|noun| noun.name == *word)?;
        let verb = words.get(at + 1).and_then(|word| known(noun.rows, word));
        Some(match verb {
            Some(verb) => format!("{} {verb}", noun.name),
            None => noun.name.to_owned(),
        })
    })
}

fn explain(error: &clap::Error, verb: Option<&str>) -> Failure {
    let one = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let several = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = one(ContextKind::InvalidArg).unwrap_or_default();
    let flag = argument.split([' ', '=']).next().unwrap_or_default().to_owned();
    let value = one(ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!(
                "unknown command: {}",
                one(ContextKind::InvalidSubcommand).unwrap_or_default()
            )
        }
        ErrorKind::UnknownArgument if flag.starts_with('-') => format!("unknown flag: {flag}"),
        ErrorKind::UnknownArgument => format!("unexpected argument: {flag}"),
        ErrorKind::MissingRequiredArgument => {
            let missing = several(ContextKind::InvalidArg)
                .replace(['<', '>'], "")
                .replace("...", "");
            format!("missing {missing}")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("the flag {flag} needs a value"),
        ErrorKind::InvalidValue => format!(
            "invalid value {value:?} for {flag}: expected one of {}",
            several(ContextKind::ValidValue)
        ),
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map_or_else(String::new, |why| format!(": {why}"));
            format!("invalid value {value:?} for {flag}{why}")
        }
        ErrorKind::MissingSubcommand => format!("{} needs a command", verb.unwrap_or("ferry")),
        ErrorKind::ArgumentConflict => {
            format!(
                "{argument} and {} cannot be given together",
                several(ContextKind::PriorArg)
            )
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    };
    // Of several, clap's first is not the nearest: it takes pause for imagse.
    let suggested = match (
        error.get(ContextKind::SuggestedSubcommand),
        one(ContextKind::InvalidSubcommand),
    ) {
        (Some(ContextValue::Strings(texts)), Some(word)) => {
            nearest(&word, texts.iter().map(String::as_str)).map(str::to_owned)
        }
        _ => None,
    };
    let near = suggested
        .or_else(|| one(ContextKind::SuggestedSubcommand))
        .or_else(|| one(ContextKind::SuggestedArg))
        .or_else(|| nearest_command(&one(ContextKind::InvalidSubcommand)?));
    wrong(message, near.as_deref(), verb)
}

fn nearest_command(word: &str) -> Option<String> {
    let names = command::TOP
        .iter()
        .filter(|row| !row.hidden)
        .map(|row| row.name)
        .chain(command::NOUNS.iter().map(|noun| noun.name));
    nearest(word, names).map(str::to_owned)
}

/// A flag before the image is not known: what follows the image is the container's, so that clap takes it for an image.
fn flag_for_image(row: &Row, matches: &ArgMatches) -> Option<Failure> {
    let words = matches.try_get_many::<String>("words").ok()??;
    let first = words.into_iter().next()?;
    let flag = first
        .split('=')
        .next()
        .filter(|flag| flag.starts_with('-') && flag.len() > 1)?;
    let mut command = (row.arguments)(Command::new(row.name));
    command.build();
    let flags: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .collect();
    let near = nearest(flag, flags.iter().map(String::as_str));
    Some(wrong(format!("unknown flag: {flag}"), near, Some(row.name)).exit(ExitStatus::ENGINE))
}

fn wrong(message: String, near: Option<&str>, verb: Option<&str>) -> Failure {
    let help = match verb {
        Some(verb) => format!("see `ferry {verb} --help`"),
        None => "see `ferry --help`".to_owned(),
    };
    Failure::new(message).hint(match near {
        Some(near) => format!("did you mean {near}? {help}"),
        None => help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, said: &str) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = root(Switches::Go)
            .try_get_matches_from(&words)
            .expect_err("a wrong command line");
        assert_eq!(explain(&error, verb_of(&words).as_deref()).to_string(), said);
    }

    #[test]
    fn the_tree_is_sound() {
        root(Switches::Plain).debug_assert();
        root(Switches::Go).debug_assert();
    }

    #[test]
    fn what_is_unknown_suggests_the_nearest() {
        check(
            "ferry imagse",
            "ferry: unknown command: imagse\nhint: did you mean images? see `ferry --help`",
        );
        check(
            "ferry rnu",
            "ferry: unknown command: rnu\nhint: did you mean run? see `ferry --help`",
        );
        check(
            "ferry ps --al",
            "ferry: unknown flag: --al\nhint: did you mean --all? see `ferry ps --help`",
        );
        check("ferry run", "ferry: missing IMAGE\nhint: see `ferry run --help`");
    }

    #[test]
    fn switches_are_read_as_go_reads_them() {
        for (line, value) in [
            ("ferry ps -a", true),
            ("ferry ps --all=false", false),
            ("ferry ps --all=1 -q", true),
            ("ferry ps -aq", true),
        ] {
            let matches = root(Switches::Go)
                .try_get_matches_from(line.split(' '))
                .expect("a command line");
            let (_, found) = matches.subcommand().expect("a command");
            assert_eq!(found.get_one::<bool>("all"), Some(&value), "{line}");
        }
    }

    #[test]
    fn a_flag_before_the_image_is_no_image() {
        let mut matches = root(Switches::Go)
            .try_get_matches_from("ferry run --rm --nam web busybox".split(' '))
            .expect("a command line");
        let (row, found) = find(&mut matches).expect("a command");
        let failure = flag_for_image(row, &found).expect("a failure");
        assert_eq!(
            failure.to_string(),
            "ferry: unknown flag: --nam\nhint: did you mean --name? see `ferry run --help`"
        );
        assert_eq!(failure.status(), ExitStatus::ENGINE);
    }

    #[test]
    fn a_container_s_own_flags_are_not_ours() {
        let matches = root(Switches::Go)
            .try_get_matches_from("ferry run --rm busybox ls --rm -h".split(' '))
            .expect("a command line");
        let (_, found) = matches.subcommand().expect("a command");
        let words: Vec<&String> = found.get_many("words").expect("words").collect();
        assert_eq!(words, ["busybox", "ls", "--rm", "-h"]);
    }
}
