//! Labels as filters ask for them: `key`, or `key=value`.

use std::collections::BTreeMap;

/// Whether `labels` hold each of `wanted`.
pub(crate) fn has_all(labels: &BTreeMap<String, String>, wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| has(labels, wanted))
}

/// Whether `labels` hold one of `wanted`.
pub(crate) fn has_any(labels: &BTreeMap<String, String>, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| has(labels, wanted))
}

fn has(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|is| is == value),
        None => labels.contains_key(wanted),
    }
}
