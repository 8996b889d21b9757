//! What goes with each line of a log besides the line: labels, variables and a tag of the container, as
//! `--log-opt labels=…`, `env=…` and `tag=…` choose them. They never change, so that no line need carry them.
//! Source: moby `daemon/logger`, `Info.ExtraAttributes`, `loggerutils/log_tag.go`.

use std::collections::BTreeMap;

use super::{Container, FileLog, LogOptions};

impl Container {
    /// The chosen attributes, by name.
    pub fn log_details(&self) -> BTreeMap<String, String> {
        let LogOptions::JsonFile { more, .. } = &self.config.options.host.log else {
            return BTreeMap::new();
        };
        let mut details = BTreeMap::new();
        for name in &more.labels {
            if let Some(value) = self.config.labels.get(name) {
                details.insert(name.clone(), value.clone());
            }
        }
        let variables = self.config.env.iter().filter_map(|entry| entry.split_once('='));
        for (name, value) in variables {
            if more.env.iter().any(|wanted| wanted == name) {
                details.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(tag) = &more.tag {
            let tag = render(tag, &|field| self.log_field(field)).unwrap_or_else(|_| tag.clone());
            details.insert("tag".to_owned(), tag);
        }
        details
    }

    fn log_field(&self, field: &str) -> Option<String> {
        let image = self.config.image_id().to_string();
        Some(match field {
            "ID" => self.id.short().to_owned(),
            "FullID" => self.id.to_string(),
            "Name" => self.name(),
            "ImageID" => image.chars().take(12).collect(),
            "ImageFullID" => image,
            "ImageName" => self.config.options.image.clone(),
            "DaemonName" => "docker".to_owned(),
            _ => return None,
        })
    }
}

impl FileLog {
    /// The part of the tag that cannot be rendered, if there is one.
    pub(super) fn unknown_in_tag(&self) -> Option<String> {
        let known = |field: &str| {
            let fields = [
                "ID",
                "FullID",
                "Name",
                "ImageID",
                "ImageFullID",
                "ImageName",
                "DaemonName",
            ];
            fields.contains(&field).then(String::new)
        };
        render(self.tag.as_deref()?, &known).err()
    }
}

/// Puts values in the places of `{{.Field}}`; what is none of those is the error.
fn render(template: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let (action, after) = after.split_once("}}").ok_or_else(|| after.to_owned())?;
        let field = action.trim().strip_prefix('.').and_then(value);
        text.push_str(&field.ok_or_else(|| action.to_owned())?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_tag_are_filled_in_or_refused() {
        let value = |field: &str| (field == "Name").then(|| "box".to_owned());
        let check = |template: &str, expected: Result<&str, &str>| {
            let rendered = render(template, &value);
            assert_eq!(rendered.as_deref().map_err(String::as_str), expected, "{template}");
        };
        check("plain", Ok("plain"));
        check("a {{.Name}}/{{ .Name }}", Ok("a box/box"));
        check("{{.Other}}", Err(".Other"));
        check("{{if .Name}}", Err("if .Name"));
        check("{{.Name", Err(".Name"));
    }
}
