//! One run of the command line: its global flags, and what is read or connected only when a command needs it.

use std::cell::OnceCell;
use std::path::PathBuf;

use ferry_oci::Reference;

use crate::config::{self, Config};
use crate::engine::{self, Engine, Surroundings};
use crate::failure::{Explain, Failure};

/// Flags that stand before the command.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Globals {
    /// Engine to talk to: unix://PATH, tcp://HOST:PORT or ssh://[USER@]HOST [default: Ferry's own, which is started if needed]
    #[arg(short = 'H', long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Docker context to talk to
    #[arg(short, long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Folder of Docker's config.json
    #[arg(long, value_name = "FOLDER")]
    pub(crate) config: Option<PathBuf>,
    /// Log level of the engine when this command is `daemon`; accepted elsewhere
    #[arg(short, long, value_name = "LEVEL", hide = true)]
    pub(crate) log_level: Option<String>,
    /// Same as --log-level debug
    #[arg(short = 'D', long, hide = true)]
    pub(crate) debug: bool,
}

/// One run of the command line.
pub(crate) struct Invocation {
    globals: Globals,
    config: OnceCell<Config>,
    engine: OnceCell<Engine>,
}

impl Invocation {
    /// With these flags.
    pub(crate) fn new(globals: Globals) -> Self {
        Self {
            globals,
            config: OnceCell::new(),
            engine: OnceCell::new(),
        }
    }

    /// Folder of Docker's config.json.
    pub(crate) fn config_folder(&self) -> PathBuf {
        config::folder(self.globals.config.as_deref())
    }

    /// Docker's config.json.
    pub(crate) fn config(&self) -> Result<&Config, Failure> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let read = Config::read(&self.config_folder()).explain(|| "cannot use Docker's settings")?;
        Ok(self.config.get_or_init(|| read))
    }

    /// The engine to talk to; nothing is connected yet.
    pub(crate) fn engine(&self) -> Result<&Engine, Failure> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let mut surroundings = Surroundings::of_process(
            self.globals.host.clone(),
            self.globals.context.clone(),
            self.config_folder(),
        );
        if surroundings.asks_config() {
            surroundings.current_context = self.config()?.text("currentContext").map(str::to_owned);
        }
        let choice = engine::choose(&surroundings).explain(|| "cannot choose an engine")?;
        let version = std::env::var("DOCKER_API_VERSION").ok().filter(|v| !v.is_empty());
        Ok(self
            .engine
            .get_or_init(|| Engine::new(choice.address, choice.absence, version.as_deref())))
    }

    /// The value of `X-Registry-Auth` for the registry that keeps `image`: the account of config.json, or an empty object.
    pub(crate) fn registry_auth(&self, image: &Reference) -> Result<String, Failure> {
        let account = self
            .config()?
            .account(image.domain())
            .explain(|| format!("cannot look up the account for {}", image.domain()))?;
        Ok(account.unwrap_or_default().header())
    }
}
