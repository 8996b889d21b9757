//! Profiles of one's own in Docker's JSON, as the kernel's filter needs them: only the rules that apply to this host
//! and this container. Source: Docker Engine 29, `profiles/seccomp`; libseccomp's and runc's words.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::Architecture;
use crate::capability::{Capability, CapabilitySet};

/// What a profile's conditions are about.
#[derive(Debug, Clone, Copy)]
pub struct ProfileContext {
    /// The CPU.
    pub native: Architecture,
    /// What the container's processes may get.
    pub capabilities: CapabilitySet,
    /// Version of the kernel: 6 and 1 of 6.1.
    pub kernel: (u32, u32),
}

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not JSON of the right shape.
    #[error("Decoding seccomp profile failed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Two members that say the same.
    #[error("both '{0}' and '{1}' are specified in the seccomp profile, use either '{0}' or '{1}'")]
    Both(&'static str, &'static str),
    /// A word that libseccomp does not know.
    #[error("string {word} is not a valid {kind} for seccomp")]
    Word {
        /// What was given.
        word: String,
        /// action, operator, arch or flag
        kind: &'static str,
    },
    /// A minimal kernel that is no version.
    #[error("invalid kernel version {0:?}: expected \"<kernel>.<major>\"")]
    KernelVersion(String),
    /// Someone outside would have to decide.
    #[error("action SCMP_ACT_NOTIFY is not supported: nobody listens")]
    Notify,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchFamily>>,
    flags: Option<Vec<String>>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchFamily {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    name: String,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Argument {
    index: usize,
    value: u64,
    value_two: u64,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Reads a profile; `None` for one that says nothing, which means no filter.
pub fn parse_profile(json: &str, context: &ProfileContext) -> Result<Option<LinuxSeccomp>, ProfileError> {
    // By way of an object: a structure could be read from a list too.
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)?;
    let profile: Profile = serde_json::from_value(members.into())?;
    let rules = profile.syscalls.unwrap_or_default();
    if profile.default_action.is_empty() && rules.is_empty() {
        return Ok(None);
    }
    let named = profile.architectures.unwrap_or_default();
    let families = profile.arch_map.unwrap_or_default();
    if !named.is_empty() && !families.is_empty() {
        return Err(ProfileError::Both("architectures", "archMap"));
    }
    let mut seccomp = LinuxSeccomp::default();
    seccomp.set_default_action(action(&profile.default_action)?);
    seccomp.set_default_errno_ret(profile.default_errno_ret);
    let mut architectures = words::<Arch>(&named, "arch")?;
    for family in families {
        let own: Arch = word(&family.architecture, "arch")?;
        let sub = words::<Arch>(&family.sub_architectures.unwrap_or_default(), "arch")?;
        if Architecture::from_oci(own) == Some(context.native) {
            architectures.push(own);
            architectures.extend(sub);
        }
    }
    seccomp.set_architectures((!architectures.is_empty()).then_some(architectures));
    let flags = words::<LinuxSeccompFilterFlag>(&profile.flags.unwrap_or_default(), "flag")?;
    seccomp.set_flags((!flags.is_empty()).then_some(flags));
    let mut syscalls = Vec::new();
    for rule in rules {
        // Read first: what is wrong on another machine is wrong.
        let (applies, syscall) = (rule.applies(context)?, rule.read()?);
        if applies {
            syscalls.push(syscall);
        }
    }
    seccomp.set_syscalls(Some(syscalls));
    Ok(Some(seccomp))
}

impl Rule {
    fn applies(&self, context: &ProfileContext) -> Result<bool, ProfileError> {
        let excluded = match &self.excludes {
            None => false,
            Some(excludes) => {
                excludes.arches().any(|arch| is_native(arch, context))
                    || excludes.caps().any(|name| has(name, context))
                    || excludes.kernel_is_new_enough(context)?.unwrap_or(false)
            }
        };
        let included = match &self.includes {
            None => true,
            Some(includes) => {
                let arches: Vec<&str> = includes.arches().collect();
                (arches.is_empty() || arches.iter().any(|arch| is_native(arch, context)))
                    && includes.caps().all(|name| has(name, context))
                    && includes.kernel_is_new_enough(context)?.unwrap_or(true)
            }
        };
        Ok(included && !excluded)
    }

    fn read(self) -> Result<LinuxSyscall, ProfileError> {
        let mut names = self.names.unwrap_or_default();
        if !self.name.is_empty() {
            if !names.is_empty() {
                return Err(ProfileError::Both("name", "names"));
            }
            names.push(self.name);
        }
        let args = self.args.unwrap_or_default();
        let args: Vec<LinuxSeccompArg> = args.iter().map(Argument::read).collect::<Result<_, _>>()?;
        let mut syscall = LinuxSyscall::default();
        syscall.set_names(names);
        syscall.set_action(action(&self.action)?);
        syscall.set_errno_ret(self.errno_ret);
        syscall.set_args((!args.is_empty()).then_some(args));
        Ok(syscall)
    }
}

impl Argument {
    fn read(&self) -> Result<LinuxSeccompArg, ProfileError> {
        let argument = LinuxSeccompArgBuilder::default()
            .index(self.index)
            .value(self.value)
            .value_two(self.value_two)
            .op(word::<LinuxSeccompOperator>(&self.op, "operator")?)
            .build();
        Ok(argument.expect("the builder has a default for every field"))
    }
}

impl Condition {
    fn arches(&self) -> impl Iterator<Item = &str> {
        self.arches.iter().flatten().map(String::as_str)
    }

    fn caps(&self) -> impl Iterator<Item = &str> {
        self.caps.iter().flatten().map(String::as_str)
    }

    fn kernel_is_new_enough(&self, context: &ProfileContext) -> Result<Option<bool>, ProfileError> {
        let Some(text) = &self.min_kernel else {
            return Ok(None);
        };
        let parse = || {
            let (kernel, major) = text.split_once('.')?;
            Some((kernel.parse().ok()?, major.parse().ok()?))
        };
        match parse() {
            Some((0, 0)) | None => Err(ProfileError::KernelVersion(text.chars().take(40).collect())),
            Some(wanted) => Ok(Some(context.kernel >= wanted)),
        }
    }
}

/// Whether Docker's word for a CPU, which is Go's or libseccomp's, means this one.
fn is_native(word: &str, context: &ProfileContext) -> bool {
    let words: &[&str] = match context.native {
        Architecture::X86_64 => &["amd64", "x86_64"],
        Architecture::X86 => &["x86", "386"],
        Architecture::X32 => &["x32"],
        Architecture::Aarch64 => &["arm64", "aarch64"],
        Architecture::Arm => &["arm"],
    };
    words.contains(&word)
}

fn has(capability: &str, context: &ProfileContext) -> bool {
    // A capability that the kernel does not know nobody has.
    Capability::parse(capability).is_ok_and(|capability| context.capabilities.contains(capability))
}

fn action(text: &str) -> Result<LinuxSeccompAction, ProfileError> {
    match word(text, "action")? {
        LinuxSeccompAction::ScmpActNotify => Err(ProfileError::Notify),
        action => Ok(action),
    }
}

fn words<T: DeserializeOwned>(texts: &[String], kind: &'static str) -> Result<Vec<T>, ProfileError> {
    texts.iter().map(|text| word(text, kind)).collect()
}

/// One of libseccomp's words.
fn word<T: DeserializeOwned>(text: &str, kind: &'static str) -> Result<T, ProfileError> {
    let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(deserializer).map_err(|_| ProfileError::Word {
        word: text.chars().take(80).collect(),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: ProfileContext = ProfileContext {
        native: Architecture::X86_64,
        capabilities: CapabilitySet::DEFAULT,
        kernel: (6, 1),
    };

    fn parse(json: &str) -> Result<Option<LinuxSeccomp>, String> {
        parse_profile(json, &CONTEXT).map_err(|error| error.to_string())
    }

    fn names(json: &str) -> Vec<String> {
        let profile = parse(json).expect("a profile").expect("a filter");
        let rules = profile.syscalls().clone().unwrap_or_default();
        rules.iter().flat_map(|rule| rule.names().clone()).collect()
    }

    #[test]
    fn rules_apply_as_their_conditions_say() {
        let with =
            |rules: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[{rules}]}}"#);
        let rule = |condition: &str| {
            with(&format!(
                r#"{{"names":["read"],"action":"SCMP_ACT_ALLOW",{condition}}}"#
            ))
        };
        assert!(CONTEXT.capabilities.contains(Capability::Chown));
        for (condition, applies) in [
            (r#""args":null"#, true),
            (r#""includes":{"caps":["CAP_CHOWN"]}"#, true),
            (r#""includes":{"caps":["CAP_CHOWN","CAP_SYS_ADMIN"]}"#, false),
            (r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#, true),
            (r#""excludes":{"caps":["CAP_SYS_ADMIN","CAP_CHOWN"]}"#, false),
            (r#""includes":{"arches":["arm64","amd64"]}"#, true),
            (r#""includes":{"arches":["s390x"]}"#, false),
            (r#""excludes":{"arches":["amd64"]}"#, false),
            (r#""includes":{"minKernel":"6.1"}"#, true),
            (r#""includes":{"minKernel":"6.2"}"#, false),
            (r#""excludes":{"minKernel":"5.9"}"#, false),
            (r#""includes":{"caps":["CAP_OF_TOMORROW"]}"#, false),
        ] {
            let expected: &[&str] = if applies { &["read"] } else { &[] };
            assert_eq!(names(&rule(condition)), expected, "{condition}");
        }
        assert_eq!(names(&with(r#"{"name":"read","action":"SCMP_ACT_LOG"}"#)), ["read"]);
    }

    #[test]
    fn the_family_of_this_cpu_is_filtered() {
        let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[
            {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]},
            {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]}]}"#;
        let profile = parse(json).expect("a profile").expect("a filter");
        let expected = [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32];
        assert_eq!(profile.architectures().as_deref(), Some(expected.as_slice()));
    }

    #[test]
    fn what_is_wrong_is_said_in_dockers_words() {
        assert_eq!(parse("{}"), Ok(None));
        for (json, words) in [
            ("", "Decoding seccomp profile failed"),
            ("[]", "Decoding seccomp profile failed"),
            (r#"{"syscalls":7}"#, "Decoding seccomp profile failed"),
            (r#"{"defaultAction":"X"}"#, "string X is not a valid action for seccomp"),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["A"]}"#,
                "string A is not a valid arch for seccomp",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86"}]}"#,
                "both 'architectures' and 'archMap'",
            ),
            (
                r#"{"syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}],"defaultAction":"SCMP_ACT_ALLOW"}"#,
                "both 'name' and 'names'",
            ),
            (
                r#"{"syscalls":[{"names":["b"],"action":"SCMP_ACT_ALLOW","args":[{"op":"<"}]}],"defaultAction":"SCMP_ACT_ALLOW"}"#,
                "string < is not a valid operator for seccomp",
            ),
            (
                r#"{"syscalls":[{"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"new"}}],"defaultAction":"SCMP_ACT_ALLOW"}"#,
                "invalid kernel version \"new\"",
            ),
            (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "nobody listens"),
        ] {
            let error = parse(json).expect_err(json);
            assert!(error.contains(words), "{error}");
        }
    }
}
