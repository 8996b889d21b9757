//! Credentials for the registries that a build pulls from: each only to the engine, and only for the host it asks for.

use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse, auth_server,
};
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::failure::describe;

/// The accounts of Docker's config.json.
pub(super) struct Auth {
    config: Config,
}

impl Auth {
    pub(super) fn new(config: Config) -> Self {
        Self { config }
    }
}

#[tonic::async_trait]
impl auth_server::Auth for Auth {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let account = self
            .config
            .account(&host)
            .map_err(|error| Status::unknown(describe(&error)))?
            .unwrap_or_default();
        // A token without a name is how BuildKit knows an identity token.
        let (username, secret) = if account.identity_token.is_empty() {
            (account.username, account.password)
        } else {
            (String::new(), account.identity_token)
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("not served: ask for credentials"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("not served: ask for credentials"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("not served: ask for credentials"))
    }
}
