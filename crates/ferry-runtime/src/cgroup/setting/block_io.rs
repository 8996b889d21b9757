//! Block I/O: weights and throttles by device.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::{Need, Plan};
use crate::cgroup::{Controller, Version};

impl Plan {
    pub(super) fn block_io(&mut self, block_io: &LinuxBlockIo, version: Version) {
        const BLOCK: Controller = Controller::BlockIo;
        if let Some(weight) = block_io.weight().filter(|weight| *weight != 0) {
            match version {
                Version::V1 => {
                    let files = ["blkio.bfq.weight", "blkio.weight"];
                    self.add("blockIO.weight", BLOCK, &files, weight.to_string(), Need::Required);
                }
                Version::V2 => {
                    // bfq's file, where the scheduler is in use, takes the weight as it is.
                    self.add(
                        "blockIO.weight",
                        BLOCK,
                        &["io.bfq.weight"],
                        weight.to_string(),
                        Need::WhereItExists,
                    );
                    let weight = io_weight(weight).to_string();
                    self.add("blockIO.weight", BLOCK, &["io.weight"], weight, Need::WhereItExists);
                }
            }
        }
        if block_io.leaf_weight().is_some_and(|weight| weight != 0) {
            self.ignore("blockIO.leafWeight", "the kernel no longer has leaf weights");
        }
        for device in block_io.weight_device().iter().flatten() {
            let Some(weight) = device.weight() else {
                continue;
            };
            let at = format!("{}:{}", device.major(), device.minor());
            match version {
                Version::V1 => {
                    let files = ["blkio.bfq.weight_device", "blkio.weight_device"];
                    self.add(
                        "blockIO.weightDevice",
                        BLOCK,
                        &files,
                        format!("{at} {weight}"),
                        Need::Required,
                    );
                }
                Version::V2 => self.required("blockIO.weightDevice", BLOCK, "io.bfq.weight", format!("{at} {weight}")),
            }
        }
        for (field, v1, v2, devices) in [
            (
                "blockIO.throttleReadBpsDevice",
                "blkio.throttle.read_bps_device",
                "rbps",
                block_io.throttle_read_bps_device(),
            ),
            (
                "blockIO.throttleWriteBpsDevice",
                "blkio.throttle.write_bps_device",
                "wbps",
                block_io.throttle_write_bps_device(),
            ),
            (
                "blockIO.throttleReadIOPSDevice",
                "blkio.throttle.read_iops_device",
                "riops",
                block_io.throttle_read_iops_device(),
            ),
            (
                "blockIO.throttleWriteIOPSDevice",
                "blkio.throttle.write_iops_device",
                "wiops",
                block_io.throttle_write_iops_device(),
            ),
        ] {
            for device in devices.iter().flatten() {
                self.throttle(field, v1, v2, device, version);
            }
        }
    }

    fn throttle(&mut self, field: &'static str, v1: &str, v2: &str, device: &LinuxThrottleDevice, version: Version) {
        let (at, rate) = (format!("{}:{}", device.major(), device.minor()), device.rate());
        match (version, rate) {
            (Version::V1, _) => self.required(field, Controller::BlockIo, v1, format!("{at} {rate}")),
            (Version::V2, 0) => self.required(field, Controller::BlockIo, "io.max", format!("{at} {v2}=max")),
            (Version::V2, _) => self.required(field, Controller::BlockIo, "io.max", format!("{at} {v2}={rate}")),
        }
    }
}

/// `io.weight` (1 to 10000) for a blkio weight (10 to 1000), linearly.
fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight.clamp(10, 1000) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn block_io() {
        check(
            r#"{"blockIO": {"weight": 500,
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}}"#,
            &[
                "blkio.bfq.weight|blkio.weight=500",
                "blkio.throttle.read_bps_device=8:0 1048576",
                "blkio.throttle.write_iops_device=8:16 0",
            ],
            &[
                "io.bfq.weight=500",
                "io.weight=4950",
                "io.max=8:0 rbps=1048576",
                "io.max=8:16 wiops=max",
            ],
        );
        assert_eq!((io_weight(10), io_weight(1000)), (1, 10_000));
    }
}
