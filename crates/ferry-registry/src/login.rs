//! Verifies a credential at a registry.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::session::{Attempts, Session, Shared};
use crate::transport::Call;
use crate::{Access, Credential, Error, LoginStatus};

/// Asks the registry's entry point with `credential`, and for a refresh token where there is one.
///
/// Source: distribution-spec `spec.md#determining-support`.
pub(crate) async fn login(shared: &Arc<Shared>, domain: &str, credential: &Credential) -> Result<LoginStatus, Error> {
    let session = Session::open(shared, domain, "", Access::Login, Some(credential.clone())).await?;
    let call = Call::new(Method::GET, session.base().clone());
    let answer = session.send(&call, Attempts::Several).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Err(Error::Protocol {
            request: answer.line,
            problem: "not a registry (no /v2/)",
        });
    }
    if !answer.status.is_success() {
        return Err(session.refusal(answer, domain).await);
    }
    let identity_token = session.refresh_token().await?.map(Credential::IdentityToken);
    Ok(LoginStatus { identity_token })
}
