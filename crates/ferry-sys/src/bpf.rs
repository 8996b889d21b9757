//! Programs of the extended BPF that decide about devices of a control group.
//!
//! Source: bpf(2); `linux/bpf.h`, union bpf_attr.

use std::{
    ffi::c_void,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// One instruction. Source: kernel `bpf/standardization/instruction-set.rst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub registers: u8,
    /// Jump distance or memory offset.
    pub offset: i16,
    /// Constant.
    pub immediate: i32,
}

/// The program ids that a group can have attached; the kernel's own limit.
const MAX_ATTACHED: usize = 64;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const PROG_QUERY: libc::c_int = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct InfoAttr {
    descriptor: u32,
    len: u32,
    info: u64,
}

/// The beginning of struct bpf_prog_info; the kernel fills in no more than it is given room for.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    program_type: u32,
    id: u32,
}

/// Has the kernel check and keep a device program. `log` gets the verifier's words when it refuses.
pub fn load_device_program(instructions: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    const LICENSE: &[u8] = b"Apache-2.0\0";
    let attr = LoadAttr {
        program_type: TYPE_CGROUP_DEVICE,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        ..LoadAttr::default()
    };
    // SAFETY: the instructions and the licence are only read and outlive the call; the log is
    // written within its size.
    let fd = unsafe { bpf(PROG_LOAD, &attr) }?;
    // SAFETY: on success the kernel returns a new descriptor of which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets a program decide about devices of a version 2 group, together with those above and beside it.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attr = AttachAttr {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
        ..AttachAttr::default()
    };
    // SAFETY: the attributes hold numbers only.
    unsafe { bpf(PROG_ATTACH, &attr) }.map(drop)
}

/// Takes a program off a group.
pub fn detach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attr = AttachAttr {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        ..AttachAttr::default()
    };
    // SAFETY: the attributes hold numbers only.
    unsafe { bpf(PROG_DETACH, &attr) }.map(drop)
}

/// Ids of the programs that are attached to this very group, in order.
pub fn attached_device_programs(cgroup: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; MAX_ATTACHED];
    let mut attr = QueryAttr {
        target: cgroup.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MAX_ATTACHED as u32,
        ..QueryAttr::default()
    };
    // SAFETY: the kernel writes at most `count` ids and the count itself, all of which outlive it.
    unsafe { bpf_mut(PROG_QUERY, &mut attr) }?;
    Ok(ids[..MAX_ATTACHED.min(attr.count as usize)].to_vec())
}

/// A descriptor of the program with this id. `ENOENT` when there is none any more.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let attr = IdAttr {
        id,
        ..IdAttr::default()
    };
    // SAFETY: the attributes hold numbers only.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &attr) }?;
    // SAFETY: on success the kernel returns a new descriptor of which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The id of a program.
pub fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = ProgramInfo::default();
    let attr = InfoAttr {
        descriptor: program.as_raw_fd() as u32,
        len: size_of::<ProgramInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes at most `len` bytes to `info`, which outlives the call.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &attr) }?;
    Ok(info.id)
}

/// One call of bpf(2). Descriptors that it returns are close-on-exec.
///
/// # Safety
/// Addresses in `attr` must be valid for what the command does with them.
unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<RawFd> {
    let attr = (&raw const *attr).cast::<c_void>();
    // SAFETY: the caller vouches for the addresses; the size is the structure's own.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    match RawFd::try_from(result) {
        Ok(result @ 0..) => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// As [`bpf`], for commands that answer in the attributes.
///
/// # Safety
/// As for [`bpf`].
unsafe fn bpf_mut<T>(command: libc::c_int, attr: &mut T) -> io::Result<RawFd> {
    let attr = (&raw mut *attr).cast::<c_void>();
    // SAFETY: the caller vouches for the addresses; the size is the structure's own.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    match RawFd::try_from(result) {
        Ok(result @ 0..) => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
