//! Who is told which secret: Basic, Bearer in Docker Hub's shape, identity tokens, redirects, realms.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ferry_registry::{
    Anonymous, Class, Client, Credential, CredentialUse, Credentials, Error, ForOneRegistry, Selection, Silent,
};

use crate::fake_registry::{Asked, Counter, Fake, Reply, serve};
use crate::image::{Format, TwoPlatforms};
use crate::recorder::{client, config, store};

const PASSWORD: &str = "s3cret:with:colons";

fn alice() -> Credential {
    Credential::Basic {
        username: "alice".into(),
        password: PASSWORD.into(),
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

fn as_alice(fake: &Fake) -> ForOneRegistry {
    ForOneRegistry {
        domain: fake.address.to_string(),
        credential: alice(),
    }
}

async fn pull(client: &Client, fake: &Fake, credentials: &dyn Credentials) -> Result<(), Error> {
    let (store, _dir) = store();
    client
        .pull(
            &store,
            &fake.reference("library/app"),
            &Selection::All,
            credentials,
            &Silent,
        )
        .await
        .map(|_| ())
}

/// A token server like Docker Hub's: knows alice, and serves anonymous clients too.
async fn token_server() -> Fake {
    Fake::start(|asked| {
        let user = match asked.header("authorization") {
            None if asked.method == http::Method::POST => {
                let body = String::from_utf8_lossy(&asked.body);
                let is_known = body.contains("grant_type=refresh_token&refresh_token=refresh-alice&");
                if !is_known {
                    return Reply::json(
                        400,
                        r#"{"error":"invalid_grant","error_description":"unknown refresh token"}"#,
                    );
                }
                "alice"
            }
            None => "anonymous",
            Some(header) if header == basic("alice", PASSWORD) => "alice",
            Some(_) => return Reply::json(401, r#"{"details":"incorrect username or password"}"#),
        };
        let refresh = if asked.query.contains("offline_token=true") {
            r#","refresh_token":"refresh-alice""#
        } else {
            ""
        };
        Reply::json(
            200,
            &format!(r#"{{"token":"token-of-{user}","access_token":"token-of-{user}","expires_in":300{refresh}}}"#),
        )
    })
    .await
}

/// A registry that wants a bearer token of `user` from `realm`.
async fn bearer_registry(realm: String, user: &'static str) -> Fake {
    let image = TwoPlatforms::new(Format::Oci);
    let obedient = serve(&image.content, &image.index);
    Fake::start(move |asked| {
        if asked.header("authorization") == Some(&format!("Bearer token-of-{user}")) {
            return obedient(asked);
        }
        let challenge =
            format!(r#"Bearer realm="{realm}",service="registry.test",scope="repository:library/app:pull""#);
        Reply::json(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        )
        .header("www-authenticate", challenge)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_once_and_used_again() {
    let tokens = token_server().await;
    let fake = bearer_registry(tokens.url("/token"), "alice").await;
    let client = client();
    for _ in 0..2 {
        pull(&client, &fake, &as_alice(&fake)).await.unwrap();
    }
    let asked = tokens.log();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for part in [
        "service=registry.test",
        "scope=repository%3Alibrary%2Fapp%3Apull",
        "account=alice",
        "client_id=ferry",
    ] {
        assert!(asked[0].query.contains(part), "{}", asked[0].query);
    }
    assert!(
        fake.log()
            .iter()
            .all(|asked| { !asked.header("authorization").unwrap_or_default().starts_with("Basic") })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_of_one_client_do_not_share_tokens() {
    let tokens = token_server().await;
    let fake = bearer_registry(tokens.url("/token"), "alice").await;
    let client = client();
    pull(&client, &fake, &as_alice(&fake)).await.unwrap();
    let error = pull(&client, &fake, &Anonymous).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Unauthorized {
                credential: CredentialUse::Anonymous,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.class(), Class::Unauthorized);
    assert!(
        error.hint().unwrap().contains(&format!("ferry login {}", fake.address)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_not_shown() {
    let tokens = token_server().await;
    let fake = bearer_registry(tokens.url("/token"), "alice").await;
    let mallory = ForOneRegistry {
        domain: fake.address.to_string(),
        credential: Credential::Basic {
            username: "alice".into(),
            password: "guess-me-not".into(),
        },
    };
    let error = pull(&client(), &fake, &mallory).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Unauthorized {
                credential: CredentialUse::Sent,
                ..
            }
        ),
        "{error}"
    );
    let shown = format!("{error} {error:?} {mallory:?} {:?}", error.hint());
    assert!(
        shown.contains("incorrect username or password") && !shown.contains("guess-me-not"),
        "{shown}"
    );
    assert!(!shown.contains(&BASE64.encode("alice:guess-me-not")), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_tokens_are_exchanged_by_post() {
    let tokens = token_server().await;
    let fake = bearer_registry(tokens.url("/token"), "alice").await;
    for (token, is_fine) in [("refresh-alice", true), ("refresh-bob", false)] {
        let credentials = ForOneRegistry {
            domain: fake.address.to_string(),
            credential: Credential::IdentityToken(token.into()),
        };
        let pulled = pull(&client(), &fake, &credentials).await;
        assert_eq!(pulled.is_ok(), is_fine, "{pulled:?}");
    }
    assert!(
        tokens
            .log()
            .iter()
            .all(|asked| asked.method == http::Method::POST && asked.query.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_tokens_are_sent_as_they_are() {
    let tokens = token_server().await;
    let fake = bearer_registry(tokens.url("/token"), "alice").await;
    for (token, is_fine) in [("token-of-alice", true), ("token-of-bob", false)] {
        let credentials = ForOneRegistry {
            domain: fake.address.to_string(),
            credential: Credential::Bearer(token.into()),
        };
        let pulled = pull(&client(), &fake, &credentials).await;
        assert_eq!(pulled.is_ok(), is_fine, "{pulled:?}");
    }
    assert!(tokens.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_midway_is_replaced() {
    let count = Counter::default();
    let tokens = Fake::start(move |_| {
        Reply::json(
            200,
            &format!(r#"{{"token":"token-{}","expires_in":3600}}"#, count.next("token")),
        )
    })
    .await;
    let image = TwoPlatforms::new(Format::Oci);
    let obedient = serve(&image.content, &image.amd64);
    let realm = tokens.url("/token");
    let fake = Fake::start(move |asked| {
        let wanted = if asked.path.contains("/blobs/") {
            "Bearer token-1"
        } else {
            "Bearer token-0"
        };
        if asked.header("authorization") == Some(wanted) {
            return obedient(asked);
        }
        Reply::new(401).header(
            "www-authenticate",
            format!(r#"Bearer realm="{realm}",error="invalid_token""#),
        )
    })
    .await;
    pull(&client(), &fake, &Anonymous).await.unwrap();
    assert_eq!(tokens.log().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_is_sent_only_after_it_was_asked_for() {
    let image = TwoPlatforms::new(Format::Oci);
    let obedient = serve(&image.content, &image.index);
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        Some(header) if header == basic("alice", PASSWORD) => obedient(asked),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
    .await;
    pull(&client(), &fake, &as_alice(&fake)).await.unwrap();
    assert_eq!(fake.log()[0].header("authorization"), None);
    let error = pull(&client(), &fake, &Anonymous).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_never_see_a_credential() {
    let image = TwoPlatforms::new(Format::Oci);
    let obedient = serve(&image.content, &image.index);
    let elsewhere = {
        let obedient = serve(&image.content, &image.index);
        Fake::start(move |asked| obedient(asked)).await
    };
    let target = elsewhere.url("");
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) if asked.is_blob_get() => {
            Reply::new(307).header("location", format!("{target}{}?signature=very-secret", asked.path))
        }
        Some(_) => obedient(asked),
    })
    .await;
    pull(&client(), &fake, &as_alice(&fake)).await.unwrap();
    let asked = elsewhere.log();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_host_that_asks_for_credentials_gets_none() {
    let image = TwoPlatforms::new(Format::Oci);
    let obedient = serve(&image.content, &image.index);
    let elsewhere = Fake::start(|_| {
        Reply::json(401, r#"{"errors":[{"message":"who are you"}]}"#).header("www-authenticate", "Basic realm=\"x\"")
    })
    .await;
    let target = elsewhere.url("/x?signature=very-secret");
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) if asked.is_blob_get() => Reply::new(307).header("location", target.clone()),
        Some(_) => obedient(asked),
    })
    .await;
    let error = pull(&client(), &fake, &as_alice(&fake)).await.unwrap_err();
    assert!(error.to_string().contains("401 Unauthorized: who are you"), "{error}");
    assert!(
        error.to_string().contains(&elsewhere.address.to_string()),
        "names the host: {error}"
    );
    assert!(!format!("{error}{error:?}").contains("very-secret"), "{error:?}");
    assert!(
        elsewhere
            .log()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end() {
    let fake = Fake::start(|asked| match asked.path.as_str() {
        "/v2/" => Reply::new(200),
        path => Reply::new(302).header("location", path.to_owned()),
    })
    .await;
    let error = pull(&client(), &fake, &Anonymous).await.unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn realms_elsewhere_get_nothing() {
    for (realm, expected) in [
        ("https://tokens.evil.test/token", "untrusted"),
        ("http://tokens.evil.test/token", "insecure"),
        ("not a url", "malformed"),
    ] {
        let fake = bearer_registry(realm.to_owned(), "alice").await;
        let error = pull(&client(), &fake, &as_alice(&fake)).await.unwrap_err();
        let found = match &error {
            Error::UntrustedRealm { realm_host, .. } if realm_host == "tokens.evil.test" => "untrusted",
            Error::InsecureRealm { .. } => "insecure",
            Error::Challenge { .. } => "malformed",
            _ => "other",
        };
        assert_eq!(found, expected, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_schemes_and_missing_rights_are_named() {
    let negotiate = Fake::start(|asked| match asked.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(401).header("www-authenticate", "Negotiate"),
    })
    .await;
    let error = pull(&client(), &negotiate, &as_alice(&negotiate)).await.unwrap_err();
    assert!(
        error.to_string().contains("unsupported authentication \"Negotiate\""),
        "{error}"
    );
    let forbidden = Fake::start(|asked| match asked.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::json(403, r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#),
    })
    .await;
    let error = pull(&client(), &forbidden, &as_alice(&forbidden)).await.unwrap_err();
    assert_eq!(error.class(), Class::Forbidden);
    assert_eq!(
        error.to_string(),
        format!("pull access to {}/library/app denied: not for you", forbidden.address)
    );
}

/// Notes for which registries it was asked.
#[derive(Default)]
struct Noting(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl Credentials for Noting {
    async fn for_registry(&self, domain: &str) -> Option<Credential> {
        self.0.lock().unwrap().push(domain.to_owned());
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_once_and_for_the_references_registry() {
    let tokens = token_server().await;
    let fake = bearer_registry(tokens.url("/token"), "anonymous").await;
    let noting = Arc::new(Noting::default());
    pull(&client(), &fake, &*noting).await.unwrap();
    assert_eq!(*noting.0.lock().unwrap(), [fake.address.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_verifies_and_offers_a_refresh_token() {
    let tokens = token_server().await;
    let bearer = bearer_registry(tokens.url("/token"), "alice").await;
    let basic_only = Fake::start(|asked| match asked.header("authorization") {
        Some(header) if header == basic("alice", PASSWORD) => Reply::json(200, "{}"),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
    .await;
    let client = client();
    let wrong = Credential::Basic {
        username: "alice".into(),
        password: "wrong".into(),
    };
    for (fake, refresh) in [(&bearer, Some("refresh-alice")), (&basic_only, None)] {
        let domain = fake.address.to_string();
        let status = client.login(&domain, &alice()).await.unwrap();
        assert_eq!(
            status.identity_token,
            refresh.map(|token| Credential::IdentityToken(token.into()))
        );
        let error = client.login(&domain, &wrong).await.unwrap_err();
        assert_eq!(error.class(), Class::Unauthorized, "{error}");
    }
    let no_registry = Fake::start(|_| Reply::new(404)).await;
    let error = client
        .login(&no_registry.address.to_string(), &alice())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not a registry"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_carry_plain_requests_and_their_own_password() {
    let image = TwoPlatforms::new(Format::Oci);
    let obedient = serve(&image.content, &image.index);
    let proxy = Fake::start(move |asked: &Asked| {
        if asked.header("proxy-authorization") != Some(&basic("proxy-user", "proxy-pass")) {
            return Reply::new(407);
        }
        if asked.method == http::Method::CONNECT {
            Reply::new(502)
        } else {
            obedient(asked)
        }
    })
    .await;
    let url = format!("http://proxy-user:proxy-pass@{}", proxy.address);
    let mut config = config();
    config.insecure = vec!["registry.test".into()];
    config.proxies.http = Some(url.clone());
    config.proxies.https = Some(url);
    assert!(!format!("{config:?}").contains("proxy-pass"));
    let client = Client::new(config).unwrap();
    let (store, _dir) = store();
    let reference = ferry_oci::Reference::parse("registry.test/app").unwrap();
    client
        .pull(&store, &reference, &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap();
    assert!(
        proxy
            .log()
            .iter()
            .any(|asked| asked.header("host") == Some("registry.test"))
    );
    let verified = ferry_oci::Reference::parse("verified.test/app").unwrap();
    let error = client
        .pull(&store, &verified, &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot connect") && !error.to_string().contains("proxy-pass"),
        "{error}"
    );
    assert!(proxy.log().iter().any(|asked| asked.method == http::Method::CONNECT));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_token_servers_are_bounded_and_read_with_care() {
    let large = format!(r#"{{"token":"{}"}}"#, "x".repeat(1 << 20));
    for (answer, expected) in [
        (large, "is larger than the limit of 1048576 bytes"),
        ("{}".to_owned(), "answer has no token"),
        (r#"{"token":"two\nlines"}"#.to_owned(), "cannot be sent in a header"),
        ("<html>".to_owned(), "answer is not a token"),
    ] {
        let tokens = Fake::start(move |_| Reply::json(200, &answer)).await;
        let fake = bearer_registry(tokens.url("/token"), "alice").await;
        let error = pull(&client(), &fake, &as_alice(&fake)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
