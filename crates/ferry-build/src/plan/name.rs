//! Names of vertices, as BuildKit's users know them: `[linux/amd64->arm64 build 2/5] RUN make`.

use ferry_oci::Platform;

/// The parts of a stage's prefix.
#[derive(Debug, Clone)]
pub(super) struct StageName {
    /// The stage's platform; `None` when the build is for one platform and the stage for the same.
    pub(super) platform: Option<Platform>,
    /// The target, when it is another platform and the stage can know it.
    pub(super) target: Option<Platform>,
    /// `build`, `stage-1`; empty for the only stage of a file.
    pub(super) stage: String,
    /// How many steps it has.
    pub(super) steps: usize,
}

impl StageName {
    /// `[linux/arm64 build 2/5] `; nothing for a stage without steps.
    pub(super) fn prefix(&self, step: usize) -> String {
        if self.steps == 0 {
            return String::new();
        }
        let mut text = String::from("[");
        if let Some(platform) = &self.platform {
            text.push_str(&platform.to_string());
            match &self.target {
                Some(target) if target != platform => {
                    let target = target.to_string();
                    let short = target.strip_prefix("linux/").unwrap_or(&target);
                    text.push_str("->");
                    text.push_str(short);
                }
                _ => {}
            }
            text.push(' ');
        }
        if !self.stage.is_empty() {
            text.push_str(&self.stage);
            text.push(' ');
        }
        let width = self.steps.to_string().len();
        text.push_str(&format!("{step:width$}/{}] ", self.steps));
        text
    }
}

/// The first line of a heredoc, shortened: ` (echo a...)`.
pub(super) fn summary(heredoc: &str) -> String {
    let trimmed = heredoc.trim();
    let first = trimmed.lines().next().unwrap_or_default();
    let short: String = first.chars().take(30).collect();
    if short.len() < trimmed.len() {
        return format!(" ({short}...)");
    }
    format!(" ({short})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let platform = |text: &str| Some(text.parse::<Platform>().unwrap());
        let mut name = StageName {
            platform: None,
            target: None,
            stage: String::new(),
            steps: 12,
        };
        assert_eq!(name.prefix(2), "[ 2/12] ");
        name.stage = "build".to_owned();
        name.steps = 3;
        assert_eq!(name.prefix(2), "[build 2/3] ");
        name.platform = platform("linux/amd64");
        assert_eq!(name.prefix(2), "[linux/amd64 build 2/3] ");
        name.target = platform("linux/arm/v7");
        assert_eq!(name.prefix(2), "[linux/amd64->arm/v7 build 2/3] ");
        name.steps = 0;
        assert_eq!(name.prefix(1), "");
    }
}
