//! The commands: one file each, below its noun; this table is what the command line knows of them.

mod builder;
mod container;
mod daemon;
mod each;
mod image;
mod platform;
mod registry;
mod system;

use std::ffi::OsString;
use std::future::Future;
use std::pin::Pin;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;

/// A command: its arguments are the type's fields, with their help.
pub(crate) trait Verb: Args {
    /// One line for the list of commands.
    const ABOUT: &'static str;
    /// Exit status for a wrong command line.
    const USAGE_STATUS: ExitStatus = ExitStatus::FAILURE;

    /// Does it.
    async fn run(self, invocation: &Invocation) -> Outcome;

    /// Changes how the command line is read, as where `-h` is not help.
    fn adjust(command: Command) -> Command {
        command
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A command's entry in the tree.
pub(crate) struct Row {
    /// What is typed.
    pub(crate) name: &'static str,
    /// Other names.
    pub(crate) aliases: &'static [&'static str],
    /// One line of help.
    pub(crate) about: &'static str,
    /// Whether lists leave it out.
    pub(crate) hidden: bool,
    /// Exit status for a wrong command line.
    pub(crate) usage_status: ExitStatus,
    /// Declares its flags.
    pub(crate) arguments: fn(Command) -> Command,
    /// Declares its flags, switches as Go's.
    pub(crate) arguments_as_go: fn(Command) -> Command,
    /// Does it.
    pub(crate) effect: Effect,
}

/// What a command is.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// A client of an engine, on the command line's executor.
    Client(for<'a> fn(&'a ArgMatches, &'a Invocation) -> Running<'a>),
    /// The engine itself.
    Engine(fn(&ArgMatches) -> Outcome),
}

/// A noun and what can be done with it.
pub(crate) struct Noun {
    /// What is typed.
    pub(crate) name: &'static str,
    /// One line of help.
    pub(crate) about: &'static str,
    /// Its verbs.
    pub(crate) rows: &'static [Row],
}

const fn row<V: Verb>(name: &'static str, aliases: &'static [&'static str]) -> Row {
    Row {
        name,
        aliases,
        about: V::ABOUT,
        hidden: false,
        usage_status: V::USAGE_STATUS,
        arguments: declare::<V>,
        arguments_as_go: |command| crate::cli::as_go(declare::<V>(command)),
        effect: Effect::Client(run::<V>),
    }
}

const ENGINE: Row = Row {
    name: "daemon",
    aliases: &[],
    about: daemon::Daemon::ABOUT,
    hidden: false,
    usage_status: ExitStatus::FAILURE,
    arguments: daemon::Daemon::augment_args,
    arguments_as_go: |command| crate::cli::as_go(daemon::Daemon::augment_args(command)),
    effect: Effect::Engine(|matches| match daemon::Daemon::from_arg_matches(matches) {
        Ok(daemon) => daemon.serve(),
        Err(error) => Err(Failure::new(error.to_string())),
    }),
};

/// Read before the command line is, see [`crate::runtime`]: here for help and completion.
const RUNTIME: Row = Row {
    name: "runtime",
    aliases: &[],
    about: "Run containers of OCI bundles, with runc's flags",
    hidden: false,
    usage_status: ExitStatus::FAILURE,
    arguments: declare_words,
    arguments_as_go: declare_words,
    effect: Effect::Engine(|matches| {
        let words = matches.get_many::<OsString>("words").into_iter().flatten();
        Ok(crate::runtime::main(words.cloned().collect()))
    }),
};

fn declare_words(command: Command) -> Command {
    command.disable_help_flag(true).arg(
        Arg::new("words")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .value_parser(clap::value_parser!(OsString)),
    )
}

const fn hidden(row: Row) -> Row {
    Row { hidden: true, ..row }
}

fn declare<V: Verb>(command: Command) -> Command {
    V::adjust(V::augment_args(command))
}

fn run<'a, V: Verb>(matches: &'a ArgMatches, invocation: &'a Invocation) -> Running<'a> {
    Box::pin(async move {
        match V::from_arg_matches(matches) {
            Ok(verb) => verb.run(invocation).await,
            Err(error) => Err(Failure::new(error.to_string())),
        }
    })
}

/// Commands that are typed without a noun.
pub(crate) static TOP: &[Row] = &[
    row::<container::run::Run>("run", &[]),
    row::<container::exec::Exec>("exec", &[]),
    row::<container::ps::Ps>("ps", &[]),
    row::<image::build::Build>("build", &[]),
    row::<image::pull::Pull>("pull", &[]),
    row::<image::push::Push>("push", &[]),
    row::<image::ls::Images>("images", &[]),
    row::<registry::login::Login>("login", &[]),
    row::<registry::logout::Logout>("logout", &[]),
    row::<system::version::Version>("version", &[]),
    row::<system::info::Info>("info", &[]),
    row::<container::attach::Attach>("attach", &[]),
    row::<container::commit::Commit>("commit", &[]),
    row::<container::cp::Cp>("cp", &[]),
    row::<container::create::Create>("create", &[]),
    row::<container::diff::Diff>("diff", &[]),
    row::<container::export::Export>("export", &[]),
    row::<image::history::History>("history", &[]),
    row::<image::import::Import>("import", &[]),
    row::<system::inspect::Inspect>("inspect", &[]),
    row::<container::kill::Kill>("kill", &[]),
    row::<image::load::Load>("load", &[]),
    row::<container::logs::Logs>("logs", &[]),
    row::<container::pause::Pause>("pause", &[]),
    row::<container::rename::Rename>("rename", &[]),
    row::<container::restart::Restart>("restart", &[]),
    row::<container::rm::Rm>("rm", &[]),
    row::<image::rm::Rmi>("rmi", &[]),
    row::<image::save::Save>("save", &[]),
    row::<container::start::Start>("start", &[]),
    row::<container::stats::Stats>("stats", &[]),
    row::<container::stop::Stop>("stop", &[]),
    row::<image::tag::Tag>("tag", &[]),
    row::<container::top::Top>("top", &[]),
    row::<container::unpause::Unpause>("unpause", &[]),
    row::<container::update::Update>("update", &[]),
    row::<container::wait::Wait>("wait", &[]),
    row::<system::completion::Completion>("completion", &[]),
    RUNTIME,
    ENGINE,
];

/// The nouns.
pub(crate) static NOUNS: &[Noun] = &[
    Noun {
        name: "builder",
        about: "Builds",
        rows: &[
            row::<image::build::Build>("build", &[]),
            row::<builder::prune::Prune>("prune", &[]),
        ],
    },
    Noun {
        name: "container",
        about: "Containers",
        rows: &[
            row::<container::attach::Attach>("attach", &[]),
            row::<container::commit::Commit>("commit", &[]),
            row::<container::cp::Cp>("cp", &[]),
            row::<container::create::Create>("create", &[]),
            row::<container::diff::Diff>("diff", &[]),
            row::<container::exec::Exec>("exec", &[]),
            row::<container::export::Export>("export", &[]),
            row::<container::inspect::Inspect>("inspect", &[]),
            row::<container::kill::Kill>("kill", &[]),
            row::<container::logs::Logs>("logs", &[]),
            row::<container::ps::Ps>("ls", &["ps", "list"]),
            row::<container::pause::Pause>("pause", &[]),
            row::<container::prune::Prune>("prune", &[]),
            row::<container::rename::Rename>("rename", &[]),
            row::<container::restart::Restart>("restart", &[]),
            row::<container::rm::Rm>("rm", &["remove"]),
            row::<container::run::Run>("run", &[]),
            row::<container::start::Start>("start", &[]),
            row::<container::stats::Stats>("stats", &[]),
            row::<container::stop::Stop>("stop", &[]),
            row::<container::top::Top>("top", &[]),
            row::<container::unpause::Unpause>("unpause", &[]),
            row::<container::update::Update>("update", &[]),
            row::<container::wait::Wait>("wait", &[]),
        ],
    },
    Noun {
        name: "image",
        about: "Images",
        rows: &[
            row::<image::build::Build>("build", &[]),
            row::<image::history::History>("history", &[]),
            row::<image::import::Import>("import", &[]),
            row::<image::inspect::Inspect>("inspect", &[]),
            row::<image::load::Load>("load", &[]),
            row::<image::ls::Images>("ls", &["list"]),
            row::<image::prune::Prune>("prune", &[]),
            row::<image::pull::Pull>("pull", &[]),
            row::<image::push::Push>("push", &[]),
            row::<image::rm::Rmi>("rm", &["remove"]),
            row::<image::save::Save>("save", &[]),
            row::<image::tag::Tag>("tag", &[]),
        ],
    },
    Noun {
        name: "platform",
        about: "CPUs that images can run on",
        rows: &[row::<platform::ls::Ls>("ls", &["list"])],
    },
    Noun {
        name: "system",
        about: "The engine",
        rows: &[
            row::<system::df::Df>("df", &[]),
            hidden(row::<system::dial_stdio::DialStdio>("dial-stdio", &[])),
            row::<system::info::Info>("info", &[]),
            row::<system::prune::Prune>("prune", &[]),
        ],
    },
];
