//! Who runs when: CPU scheduling and I/O priority of the calling thread.

use std::io;

/// How the calling thread is scheduled. Source: sched_setattr(2), struct sched_attr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scheduling {
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// For SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// For SCHED_DEADLINE, in nanoseconds, as the next two.
    pub runtime_ns: u64,
    /// When it has to be done.
    pub deadline_ns: u64,
    /// How often it comes back.
    pub period_ns: u64,
}

/// Source: `linux/sched/types.h`, struct sched_attr of 48 bytes.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Sets the calling thread's scheduling, which what it executes keeps.
pub fn set_scheduling(scheduling: Scheduling) -> io::Result<()> {
    let attributes = Attributes {
        size: u32::try_from(size_of::<Attributes>()).unwrap_or_default(),
        policy: scheduling.policy,
        flags: scheduling.flags,
        nice: scheduling.nice,
        priority: scheduling.priority,
        runtime_ns: scheduling.runtime_ns,
        deadline_ns: scheduling.deadline_ns,
        period_ns: scheduling.period_ns,
    };
    // SAFETY: the structure has the kernel's layout and says its size; it lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    outcome(result)
}

/// The class of an I/O priority. Source: ioprio_set(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IoClass {
    RealTime = 1,
    BestEffort = 2,
    Idle = 3,
}

/// Sets the calling thread's I/O priority; `level` is 0 (first) to 7.
pub fn set_io_priority(class: IoClass, level: u16) -> io::Result<()> {
    const WHO_PROCESS: i32 = 1;
    const CLASS_SHIFT: i32 = 13;
    let priority = (class as i32) << CLASS_SHIFT | i32::from(level);
    // SAFETY: ioprio_set(2) touches no memory.
    outcome(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, priority) })
}

/// Where the calling thread's memory comes from: a mode of MPOL_* with its flags, and a mask of nodes, bit n for
/// node n. Source: set_mempolicy(2).
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> io::Result<()> {
    let (mask, bits) = match nodes {
        [] => (std::ptr::null(), 0),
        // The kernel takes one less than it is told.
        nodes => (nodes.as_ptr(), nodes.len() * 64 + 1),
    };
    // SAFETY: the mask, if there is one, holds as many bits as are announced, less one.
    outcome(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) })
}

fn outcome(result: i64) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
