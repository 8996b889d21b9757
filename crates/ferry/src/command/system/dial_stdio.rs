//! `ferry system dial-stdio`: relays stdin and stdout to the engine's socket, for clients that come by ssh.

use clap::Args;
use tokio::io::AsyncWriteExt;

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::invocation::Invocation;

/// `ferry system dial-stdio`.
#[derive(Debug, Args)]
pub(crate) struct DialStdio {}

impl Verb for DialStdio {
    const ABOUT: &'static str = "Relay stdin and stdout to the engine";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let stream = engine.dial().await?;
        let (mut from_engine, mut to_engine) = tokio::io::split(stream);
        let (mut stdin, mut stdout) = (tokio::io::stdin(), tokio::io::stdout());
        let inward = async {
            let copied = tokio::io::copy(&mut stdin, &mut to_engine).await;
            let _ = to_engine.shutdown().await;
            match copied {
                // The other direction ends the relay.
                Ok(_) => std::future::pending().await,
                Err(error) => Err::<(), _>(error),
            }
        };
        let outward = async {
            tokio::io::copy(&mut from_engine, &mut stdout).await?;
            stdout.flush().await
        };
        tokio::select! {
            result = inward => result,
            result = outward => result,
        }
        .explain(|| "the relay broke")
        .map(|()| ExitStatus::SUCCESS)
    }
}
