//! What of /proc and /sys is hidden or read-only.

use std::path::Path;

/// Hidden, each that exists: files by a /dev/null, directories by an empty read-only tmpfs.
/// Source: Docker Engine 29, default Linux spec; GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only, each that exists.
pub const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where the kernel shows CPUs, and what is hidden below each.
const CPUS: &str = "/sys/devices/system/cpu";
const THROTTLE: &str = "thermal_throttle";

/// Paths that are hidden besides [`MASKED`] because this host has them: each CPU's heat, which
/// tells what others compute. They do not change while the host runs; read once.
#[must_use]
pub fn masked_on_this_host() -> Vec<String> {
    masked_below(Path::new(CPUS))
}

fn masked_below(cpus: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(cpus) else {
        return Vec::new();
    };
    let mut paths: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("cpu"));
            number.is_some_and(|digits| digits.parse::<u32>().is_ok())
        })
        .map(|entry| entry.path().join(THROTTLE))
        .filter(|path| path.exists())
        .filter_map(|path| path.into_os_string().into_string().ok())
        .collect();
    paths.sort_unstable();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpus_heat_is_hidden() {
        let root = std::env::temp_dir().join(format!("ferry-cpus-{}", std::process::id()));
        for folder in [
            "cpu0/thermal_throttle",
            "cpu1",
            "cpu10/thermal_throttle",
            "cpufreq/thermal_throttle",
        ] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let masked = masked_below(&root);
        std::fs::remove_dir_all(&root).unwrap();
        let expect = ["cpu0", "cpu10"].map(|cpu| format!("{}/{cpu}/thermal_throttle", root.display()));
        assert_eq!(masked, expect);
        assert!(masked_below(Path::new("/nonexistent")).is_empty());
    }
}
