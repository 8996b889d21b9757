//! Accounts at registries in config.json: kept there, or by the helper that it names.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Config, Error, credential_helper};

/// Docker Hub's key in config.json, for historical reasons a URL.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// User name that marks a password as an identity token (credential helpers protocol).
const TOKEN_USER: &str = "<token>";

/// What a registry knows a person by (Docker Engine API `AuthConfig`).
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    /// User name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) username: String,
    /// Password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) password: String,
    /// Token that is exchanged for access tokens, instead of a password.
    #[serde(rename = "identitytoken", skip_serializing_if = "String::is_empty")]
    pub(crate) identity_token: String,
    /// The registry, as config.json names it.
    #[serde(rename = "serveraddress")]
    pub(crate) server: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({:?} at {:?})", self.username, self.server)
    }
}

impl Account {
    /// The value of `X-Registry-Auth`.
    pub(crate) fn header(&self) -> String {
        // Strings only: cannot fail.
        URL_SAFE.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Where an account was put.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In config.json, readable by whoever can read the file.
    InFile,
    /// By this helper program.
    ByHelper(String),
}

/// The key of a registry in config.json: its host, or the URL that stands for Docker Hub.
pub(crate) fn hub_key(domain: &str) -> &str {
    match domain {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB_KEY,
        domain => domain,
    }
}

impl Config {
    /// The account at the registry `domain`, if there is one.
    pub(crate) fn account(&self, domain: &str) -> Result<Option<Account>, Error> {
        let key = hub_key(domain);
        if let Some(name) = self.helper_of(key) {
            let found = credential_helper::get(&name, key)?;
            if found.is_some() {
                return Ok(found.map(|found| from_helper(key, found)));
            }
        }
        Ok(self.account_in_file(key))
    }

    /// Keeps an account: with the helper, or in the file.
    pub(crate) fn keep(&mut self, account: &Account) -> Result<Kept, Error> {
        let key = account.server.clone();
        let helper = self.helper_of(&key);
        let entry = match &helper {
            Some(name) => {
                credential_helper::store(name, &to_helper(account))?;
                // Docker leaves an empty entry: it shows which registries one is logged in to.
                json!({})
            }
            None => entry_of(account),
        };
        self.auths_mut().insert(key, entry);
        self.write()?;
        Ok(helper.map_or(Kept::InFile, |name| Kept::ByHelper(credential_helper::program(&name))))
    }

    /// Forgets the account at `domain`; false when there was none.
    pub(crate) fn forget(&mut self, domain: &str) -> Result<bool, Error> {
        let key = hub_key(domain).to_owned();
        let mut found = false;
        if let Some(name) = self.helper_of(&key)
            && credential_helper::get(&name, &key)?.is_some()
        {
            credential_helper::erase(&name, &key)?;
            found = true;
        }
        let keys: Vec<String> = self
            .auths()
            .into_iter()
            .flat_map(Map::keys)
            .filter(|known| host_of(known) == host_of(&key))
            .cloned()
            .collect();
        for known in &keys {
            self.auths_mut().remove(known);
        }
        if !keys.is_empty() {
            found = true;
            self.write()?;
        }
        Ok(found)
    }

    fn helper_of(&self, key: &str) -> Option<String> {
        let own = self
            .fields
            .get("credHelpers")
            .and_then(|helpers| helpers.get(key))
            .and_then(Value::as_str);
        own.or_else(|| self.text("credsStore"))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    }

    fn auths(&self) -> Option<&Map<String, Value>> {
        self.fields.get("auths")?.as_object()
    }

    fn auths_mut(&mut self) -> &mut Map<String, Value> {
        let auths = self.fields.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        match auths {
            Value::Object(map) => map,
            // Was made an object above.
            _ => unreachable!("auths is an object"),
        }
    }

    fn account_in_file(&self, key: &str) -> Option<Account> {
        let auths = self.auths()?;
        let entry = auths.get(key).or_else(|| {
            // Older files name a registry by its URL.
            auths
                .iter()
                .find(|(known, _)| host_of(known) == host_of(key))
                .map(|(_, entry)| entry)
        })?;
        account_of(key, entry)
    }
}

/// `https://host/v1/` and `host` are one registry.
fn host_of(key: &str) -> &str {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

fn entry_of(account: &Account) -> Value {
    let auth = STANDARD.encode(format!("{}:{}", account.username, account.password));
    if account.identity_token.is_empty() {
        json!({ "auth": auth })
    } else {
        json!({ "auth": STANDARD.encode(format!("{}:", account.username)), "identitytoken": account.identity_token })
    }
}

fn account_of(key: &str, entry: &Value) -> Option<Account> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut account = Account {
        username: text("username"),
        password: text("password"),
        identity_token: text("identitytoken"),
        server: key.to_owned(),
    };
    let auth = text("auth");
    if !auth.is_empty() {
        let decoded = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        account.username = username.to_owned();
        account.password = password.trim_end_matches('\0').to_owned();
    }
    let empty = account.username.is_empty() && account.identity_token.is_empty();
    (!empty).then_some(account)
}

fn from_helper(key: &str, found: credential_helper::Secret) -> Account {
    if found.username == TOKEN_USER {
        Account {
            identity_token: found.secret,
            server: key.to_owned(),
            ..Account::default()
        }
    } else {
        Account {
            username: found.username,
            password: found.secret,
            server: key.to_owned(),
            ..Account::default()
        }
    }
}

fn to_helper(account: &Account) -> credential_helper::Secret {
    let (username, secret) = if account.identity_token.is_empty() {
        (account.username.clone(), account.password.clone())
    } else {
        (TOKEN_USER.to_owned(), account.identity_token.clone())
    };
    credential_helper::Secret {
        server: account.server.clone(),
        username,
        secret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn config(text: &str) -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.json"), text).expect("a file");
        let config = Config::read(folder.path()).expect("a config");
        (folder, config)
    }

    fn ann(server: &str) -> Account {
        Account {
            username: "ann".into(),
            password: "s:cret".into(),
            server: server.into(),
            ..Account::default()
        }
    }

    #[test]
    fn an_account_is_kept_and_the_rest_of_the_file_stays() {
        let (folder, mut config) = config(r#"{"HttpHeaders":{"X":"y"},"auths":{"other":{"auth":"YTpi"}}}"#);
        assert_eq!(config.keep(&ann("reg:5000")).expect("kept"), Kept::InFile);
        let again = Config::read(folder.path()).expect("a config");
        assert_eq!(again.account("reg:5000").expect("readable"), Some(ann("reg:5000")));
        assert_eq!(again.fields["HttpHeaders"]["X"], "y");
        assert_eq!(again.fields["auths"]["other"]["auth"], "YTpi");
        let mode = std::fs::metadata(again.path()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn docker_hub_and_urls_are_found_under_their_old_keys() {
        let (_folder, config) = config(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"https://reg.example/v2/":{"auth":"Yzpk"}}}"#,
        );
        let user = |domain| config.account(domain).expect("readable").map(|a| a.username);
        assert_eq!(user("docker.io"), Some("a".into()));
        assert_eq!(user("reg.example"), Some("c".into()));
        assert_eq!(user("else.where"), None);
    }

    #[test]
    fn an_account_is_forgotten_once() {
        let (_folder, mut config) = config(r#"{"auths":{"reg":{"auth":"YTpi"}}}"#);
        assert!(config.forget("reg").expect("writable"));
        assert!(!config.forget("reg").expect("writable"));
    }

    #[test]
    fn the_header_is_docker_s() {
        let decoded = URL_SAFE.decode(ann("r").header()).expect("base64");
        let value: Value = serde_json::from_slice(&decoded).expect("JSON");
        assert_eq!(value, json!({"username":"ann","password":"s:cret","serveraddress":"r"}));
    }
}
