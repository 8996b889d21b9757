//! Restart policies: the API's name and number to the engine's type and back.

use bollard_stubs::models::{RestartPolicy as ApiPolicy, RestartPolicyNameEnum as Name};
use ferry_engine::container::RestartPolicy;

use crate::error::ApiError;

/// The policy that a body asks for; `None` if it asks for none. Source: Docker Engine API `RestartPolicy`,
/// with the words of moby `hostconfig.go`, `ValidateRestartPolicy`.
pub(super) fn parse(policy: Option<ApiPolicy>) -> Result<Option<RestartPolicy>, ApiError> {
    let policy = policy.unwrap_or_default();
    let retries = policy.maximum_retry_count.unwrap_or_default();
    let policy = match policy.name {
        None | Some(Name::EMPTY) => return Ok(None),
        Some(Name::ON_FAILURE) => RestartPolicy::OnFailure {
            max_retries: match u32::try_from(retries) {
                Ok(0) => None,
                Ok(retries) => Some(retries),
                Err(_) if retries > 0 => None,
                Err(_) => {
                    return Err(ApiError::bad_request(
                        "invalid restart policy: maximum retry count cannot be negative",
                    ));
                }
            },
        },
        Some(_) if retries != 0 => {
            let more = if retries < 0 { " and cannot be negative" } else { "" };
            return Err(ApiError::bad_request(format!(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'{more}"
            )));
        }
        Some(Name::NO) => RestartPolicy::No,
        Some(Name::ALWAYS) => RestartPolicy::Always,
        Some(Name::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
    };
    Ok(Some(policy))
}

/// The policy as an inspect shows it.
pub(super) fn show(policy: RestartPolicy) -> ApiPolicy {
    let (name, retries) = match policy {
        RestartPolicy::No => (Name::NO, 0),
        RestartPolicy::Always => (Name::ALWAYS, 0),
        RestartPolicy::UnlessStopped => (Name::UNLESS_STOPPED, 0),
        RestartPolicy::OnFailure { max_retries } => (Name::ON_FAILURE, max_retries.unwrap_or_default()),
    };
    ApiPolicy {
        name: Some(name),
        maximum_retry_count: Some(i64::from(retries)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_in_docker_s_words() {
        let check = |name, retries, expected: Result<Option<RestartPolicy>, &str>| {
            let policy = ApiPolicy {
                name,
                maximum_retry_count: retries,
            };
            let read = parse(Some(policy)).map_err(|error| error.message().to_owned());
            assert_eq!(read, expected.map_err(str::to_owned), "{name:?} {retries:?}");
        };
        check(None, Some(3), Ok(None));
        check(Some(Name::ALWAYS), Some(0), Ok(Some(RestartPolicy::Always)));
        check(
            Some(Name::ON_FAILURE),
            Some(3),
            Ok(Some(RestartPolicy::OnFailure { max_retries: Some(3) })),
        );
        check(
            Some(Name::ALWAYS),
            Some(3),
            Err("invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        );
        check(
            Some(Name::ON_FAILURE),
            Some(-1),
            Err("invalid restart policy: maximum retry count cannot be negative"),
        );
        for policy in [
            RestartPolicy::No,
            RestartPolicy::UnlessStopped,
            RestartPolicy::OnFailure { max_retries: None },
        ] {
            let read = parse(Some(show(policy))).expect("a policy");
            assert_eq!(read, Some(policy));
        }
    }
}
