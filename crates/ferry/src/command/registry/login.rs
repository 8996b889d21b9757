//! `ferry login`: proves an account to a registry and keeps it for pull and push.

use std::io::{self, Read};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Deserialize;

use super::domain;
use crate::command::Verb;
use crate::config::{Account, Config, Kept, hub_key};
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// Longest password that is read from stdin (bytes).
const LONGEST_PASSWORD: u64 = 64 << 10;

/// `ferry login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Password; it shows in process lists, so prefer --password-stdin
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Registry [default: Docker Hub]
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

/// The engine's answer (Docker Engine API, SystemAuth).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "IdentityToken")]
    identity_token: String,
}

impl Verb for Login {
    const ABOUT: &'static str = "Log in to a registry";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let domain = domain(self.registry.as_deref());
        let mut account = self.account(invocation, &domain)?;
        let answer: Answer = invocation
            .engine()?
            .post("/auth")
            .json_body(&account)
            .json()
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot log in to {domain}")))?;
        if !answer.identity_token.is_empty() {
            account.password = String::new();
            account.identity_token = answer.identity_token;
        }
        let folder = invocation.config_folder();
        let mut config = Config::read(&folder).explain(|| "cannot keep the account")?;
        match config.keep(&account).explain(|| "cannot keep the account")? {
            Kept::ByHelper(_) => {}
            Kept::InFile => terminal::note(&format!(
                "WARNING: the password is kept unencrypted in {}; a credential helper (credsStore) would encrypt it",
                config.path().display()
            )),
        }
        let said = if answer.status.is_empty() {
            "Login Succeeded"
        } else {
            &answer.status
        };
        terminal::say(said)?;
        Ok(ExitStatus::SUCCESS)
    }
}

impl Login {
    /// The account from flags, stdin, or questions at the terminal.
    fn account(&self, invocation: &Invocation, domain: &str) -> Result<Account, Failure> {
        let mut account = Account {
            server: hub_key(domain).to_owned(),
            ..Account::default()
        };
        if self.password_stdin {
            let Some(username) = &self.username else {
                return Err(Failure::new("--password-stdin needs --username"));
            };
            account.username.clone_from(username);
            account.password = piped_password()?;
            return Ok(account);
        }
        if self.password.is_some() {
            terminal::note("WARNING: --password shows in process lists and shell histories; use --password-stdin");
        }
        if self.username.is_none() && self.password.is_none() {
            // Kept before: prove it again rather than ask.
            if let Some(known) = invocation
                .config()?
                .account(domain)
                .explain(|| "cannot look up the account")?
            {
                terminal::note(&format!("Logging in with the account that is kept for {domain}"));
                return Ok(known);
            }
        }
        let need_terminal = || {
            Failure::new("a user name and a password are needed, and stdin is no terminal")
                .hint("give --username and --password-stdin")
        };
        account.username = match &self.username {
            Some(username) => username.clone(),
            None if !terminal::stdin_is_one() => return Err(need_terminal()),
            None => ask("Username: ")?,
        };
        account.password = match &self.password {
            Some(password) => password.clone(),
            None if !terminal::stdin_is_one() => return Err(need_terminal()),
            None => ask_unseen("Password: ")?,
        };
        if account.username.is_empty() || account.password.is_empty() {
            return Err(Failure::new("the user name or the password is empty"));
        }
        Ok(account)
    }
}

fn piped_password() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(LONGEST_PASSWORD)
        .read_to_string(&mut text)
        .explain(|| "cannot read the password from stdin")?;
    let password = text.trim_end_matches(['\n', '\r']).to_owned();
    if password.is_empty() {
        return Err(Failure::new("the password on stdin is empty"));
    }
    Ok(password)
}

fn ask(question: &str) -> Result<String, Failure> {
    terminal::ask(question).explain(|| "cannot read the answer")
}

/// Asks without showing what is typed.
fn ask_unseen(question: &str) -> Result<String, Failure> {
    let before = tcgetattr(io::stdin()).explain(|| "cannot set the terminal up")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &silent).explain(|| "cannot set the terminal up")?;
    let answer = ask(question);
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
    terminal::note("");
    answer
}
