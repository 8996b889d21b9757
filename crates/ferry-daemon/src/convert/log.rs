//! Logging drivers and their options. Source: moby `daemon/logger`, each driver's `ValidateLogOpt`.

use std::collections::{BTreeMap, HashMap};

use bollard_stubs::models::HostConfigLogConfig;
use ferry_engine::container::{Container, FileDriver, FileLog, LogOptions};

use crate::error::ApiError;

pub(super) fn parse(config: Option<HostConfigLogConfig>) -> Result<LogOptions, ApiError> {
    let config = config.unwrap_or_default();
    let driver = match config.typ.as_deref().unwrap_or_default() {
        "none" => return Ok(LogOptions::None),
        "" | "json-file" => FileDriver::JsonFile,
        "local" => FileDriver::Local,
        other => {
            return Err(ApiError::not_implemented(format!(
                "logging driver {other:?} is not supported yet: use json-file, local or none"
            )));
        }
    };
    let given: BTreeMap<String, String> = config.config.unwrap_or_default().into_iter().collect();
    check_delivery(&given)?;
    let LogOptions::JsonFile {
        mut max_size_bytes,
        mut max_files,
        mut more,
    } = LogOptions::default()
    else {
        return Ok(LogOptions::None);
    };
    more.driver = driver;
    more.compress = driver == FileDriver::Local;
    for (key, value) in &given {
        let invalid = || ApiError::bad_request(format!("invalid value {value:?} of log option {key:?}"));
        let list = || {
            value
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        };
        match key.as_str() {
            "max-size" => max_size_bytes = parse_size(value).ok_or_else(invalid)?,
            "max-file" => max_files = value.parse().ok().filter(|files| *files > 0).ok_or_else(invalid)?,
            "compress" => more.compress = go_bool(value).ok_or_else(invalid)?,
            "labels" => more.labels = list(),
            "env" => more.env = list(),
            "tag" => more.tag = Some(value.clone()).filter(|tag| !tag.is_empty()),
            // Looked at before: output never waits for a file, with either.
            "mode" | "max-buffer-size" => {}
            "labels-regex" | "env-regex" => {
                return Err(ApiError::not_implemented(format!(
                    "log option {key:?} is not supported yet"
                )));
            }
            _ => {
                let driver = name(driver);
                return Err(ApiError::bad_request(format!(
                    "unknown log opt '{key}' for {driver} log driver"
                )));
            }
        }
    }
    if more.compress && max_files < 2 {
        if driver == FileDriver::JsonFile {
            return Err(ApiError::bad_request(
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ));
        }
        more.compress = false;
    }
    more.given = given;
    Ok(LogOptions::JsonFile {
        max_size_bytes,
        max_files,
        more,
    })
}

/// What says how output comes to a driver, whichever that is.
fn check_delivery(given: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let mode = given.get("mode").map(String::as_str).unwrap_or_default();
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(ApiError::bad_request(format!(
            "logger: logging mode not supported: {mode}"
        )));
    }
    let Some(size) = given.get("max-buffer-size") else {
        return Ok(());
    };
    if mode != "non-blocking" {
        return Err(ApiError::bad_request(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ));
    }
    match parse_size(size) {
        Some(_) => Ok(()),
        None => Err(ApiError::bad_request(format!(
            "error parsing option max-buffer-size: invalid size: '{size}'"
        ))),
    }
}

fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `10m`, `512k`, `1g`, or bytes.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches('b').trim_end_matches(['k', 'm', 'g']);
    let unit: u64 = match text.trim_end_matches('b').chars().last()? {
        'k' => 1 << 10,
        'm' => 1 << 20,
        'g' => 1 << 30,
        _ => 1,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|size| *size > 0)
}

fn name(driver: FileDriver) -> &'static str {
    match driver {
        FileDriver::JsonFile => "json-file",
        FileDriver::Local => "local",
    }
}

/// As an inspect shows it: what was given, and the sizes that hold.
pub(super) fn show(log: &LogOptions) -> HostConfigLogConfig {
    let (driver, settings) = match log {
        LogOptions::None => ("none", HashMap::new()),
        LogOptions::JsonFile {
            max_size_bytes,
            max_files,
            more,
        } => {
            let mut settings = HashMap::from([
                ("max-size".to_owned(), max_size_bytes.to_string()),
                ("max-file".to_owned(), max_files.to_string()),
            ]);
            settings.extend(more.given.clone());
            (name(more.driver), settings)
        }
    };
    HostConfigLogConfig {
        typ: Some(driver.to_owned()),
        config: Some(settings),
    }
}

/// Whether a file of the log is anybody's business: that of `local` is the engine's own.
pub(super) fn has_public_file(log: &LogOptions) -> bool {
    !matches!(
        log,
        LogOptions::JsonFile {
            more: FileLog {
                driver: FileDriver::Local,
                ..
            },
            ..
        }
    )
}

/// What `logs --details` shows before each line. Source: moby `httputils/write_log_stream.go`.
pub(crate) fn details(container: &Container) -> String {
    let escape = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let details = container.log_details();
    let pairs: Vec<String> = details
        .iter()
        .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
        .collect();
    format!("{} ", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(driver: &str, options: &[(&str, &str)]) -> Result<LogOptions, String> {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let config = HostConfigLogConfig {
            typ: Some(driver.to_owned()),
            config: Some(options.collect()),
        };
        parse(Some(config)).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn sizes_read_as_docker_s() {
        for (text, size) in [
            ("10m", Some(10 << 20)),
            ("1gb", Some(1 << 30)),
            ("5", Some(5)),
            ("0", None),
            ("x", None),
        ] {
            assert_eq!(parse_size(text), size, "{text}");
        }
    }

    #[test]
    fn options_are_read_or_refused_in_dockers_words() {
        let Ok(LogOptions::JsonFile { max_files, more, .. }) = read(
            "local",
            &[
                ("max-file", "3"),
                ("labels", "a,b"),
                ("tag", "x"),
                ("mode", "non-blocking"),
            ],
        ) else {
            panic!("options of local are read");
        };
        assert_eq!(
            (max_files, more.compress, more.labels.len(), more.tag.as_deref()),
            (3, true, 2, Some("x"))
        );
        assert!(read("local", &[("max-file", "1")]).is_ok());
        for (driver, options, words) in [
            ("gelf", &[][..], "logging driver \"gelf\" is not supported yet"),
            (
                "json-file",
                &[("x", "y")],
                "unknown log opt 'x' for json-file log driver",
            ),
            ("local", &[("x", "y")], "unknown log opt 'x' for local log driver"),
            (
                "json-file",
                &[("compress", "true"), ("max-file", "1")],
                "compress cannot be true when max-file is less",
            ),
            ("json-file", &[("compress", "perhaps")], "invalid value"),
            ("json-file", &[("max-size", "0")], "invalid value"),
            (
                "json-file",
                &[("mode", "sometimes")],
                "logging mode not supported: sometimes",
            ),
            (
                "json-file",
                &[("max-buffer-size", "1m")],
                "only supported with 'mode=non-blocking'",
            ),
            (
                "json-file",
                &[("max-buffer-size", "x"), ("mode", "non-blocking")],
                "invalid size: 'x'",
            ),
        ] {
            let error = read(driver, options).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
