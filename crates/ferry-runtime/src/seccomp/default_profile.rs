//! The system calls that containers may make by default.
//!
//! Source: Docker Engine 29's default profile. Two things are said otherwise, with the same meaning
//! or a stricter one: names are sorted by what they are for, and allowed socket families are masks
//! on the low 32 bits, since a comparison of all 64 lets a family pass whose upper half is garbage,
//! which the kernel drops.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

use super::Architecture;
use crate::capability::{Capability, CapabilitySet};

/// Calls, separated by spaces, that every container may make.
const ALWAYS: &[&str] = &[
    // Files by name.
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchdir fchmod fchmodat fchmodat2 \
     fchown fchown32 fchownat getcwd lchown lchown32 link linkat mkdir mkdirat mknod mknodat \
     name_to_handle_at open openat openat2 readlink readlinkat rename renameat renameat2 rmdir \
     symlink symlinkat umask unlink unlinkat",
    // What files are like.
    "fstat fstat64 fstatat64 fstatfs fstatfs64 futimesat listmount lstat lstat64 newfstatat stat \
     stat64 statfs statfs64 statmount statx utime utimensat utimensat_time64 utimes",
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr \
     listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    // What is in them.
    "_llseek arm_fadvise64_64 arm_sync_file_range close close_range copy_file_range dup dup2 dup3 \
     fadvise64 fadvise64_64 fallocate fcntl fcntl64 fdatasync flock fsync ftruncate ftruncate64 \
     getdents getdents64 ioctl lseek pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 \
     read readahead readv sendfile sendfile64 splice sync sync_file_range sync_file_range2 syncfs \
     tee truncate truncate64 vmsplice write writev",
    // Waiting for them.
    "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 \
     epoll_wait epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init \
     inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents \
     io_pgetevents_time64 io_setup io_submit poll ppoll ppoll_time64 pselect6 pselect6_time64 \
     select signalfd signalfd4",
    // Memory.
    "brk cacheflush madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock \
     mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc \
     pkey_free pkey_mprotect remap_file_pages riscv_flush_icache",
    // Processes and threads; clone and clone3 below.
    "arch_prctl breakpoint execve execveat exit exit_group fork futex futex_requeue futex_time64 \
     futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu getpgid getpgrp \
     getpid getppid getsid gettid modify_ldt pidfd_open pidfd_send_signal prctl process_mrelease \
     process_vm_readv process_vm_writev ptrace restart_syscall riscv_hwprobe rseq \
     s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr set_robust_list set_thread_area \
     set_tid_address set_tls setpgid setsid swapcontext uretprobe vfork wait4 waitid waitpid",
    // Who they are and what they may.
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 \
     getresgid getresgid32 getresuid getresuid32 getuid getuid32 landlock_add_rule \
     landlock_create_ruleset landlock_restrict_self seccomp setfsgid setfsgid32 setfsuid \
     setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 \
     setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    // What they use.
    "getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64 sched_get_priority_max \
     sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler \
     sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr \
     sched_setparam sched_setscheduler sched_yield setpriority setrlimit ugetrlimit",
    // Signals.
    "kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn \
     rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack \
     sigprocmask sigreturn tgkill tkill",
    // Time.
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
     clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep \
     setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 \
     timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 \
     timerfd_settime timerfd_settime64 times",
    // Messages between processes.
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend \
     mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop \
     semtimedop_time64 shmat shmctl shmdt shmget",
    // Sockets; socket below. What socketcall carries no filter sees: 32-bit x86 C libraries need it.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg \
     recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall \
     socketpair",
    // The system.
    "cachestat getrandom sysinfo uname",
];

/// Calls for containers that hold a capability.
const GATED: &[(Capability, &str)] = &[
    (
        Capability::SysAdmin,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount \
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    (Capability::DacReadSearch, "open_by_handle_at"),
    (Capability::SysBoot, "reboot"),
    (Capability::SysChroot, "chroot"),
    (Capability::SysModule, "delete_module finit_module init_module"),
    (Capability::SysPacct, "acct"),
    (
        Capability::SysPtrace,
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    (Capability::SysRawio, "ioperm iopl"),
    (Capability::SysTime, "clock_settime clock_settime64 settimeofday stime"),
    (Capability::SysTtyConfig, "vhangup"),
    (
        Capability::SysNice,
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    (Capability::Syslog, "syslog"),
    (Capability::Bpf, "bpf"),
    (Capability::Perfmon, "perf_event_open"),
];

/// Flags of clone(2) that make namespaces: without SYS_ADMIN none may be set.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// Execution domains that programs ask for: Linux and 32-bit Linux, each also under a 2.6 version
/// (0x20000), and the question which it is. Source: personality(2).
const PERSONALITIES: &[u64] = &[0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Socket families as (bits that count, their value): up to 37, 39, and from 41 on; not AF_ALG (38)
/// nor AF_VSOCK (40). The kernel knows 46 families.
const SOCKET_FAMILIES: &[(u64, u64)] = &[
    (0xffff_ffe0, 0),
    (0xffff_fffc, 32),
    (0xffff_fffe, 36),
    (0xffff_ffff, 39),
    (0xffff_ffff, 41),
    (0xffff_fffe, 42),
    (0xffff_fffc, 44),
    (0xffff_fff0, 48),
    (0xffff_ffc0, 64),
    (0xffff_ff80, 128),
];

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The default profile for a container that holds `capabilities`.
///
/// What it does not allow answers EPERM; `clone3` answers ENOSYS without SYS_ADMIN, so that C
/// libraries take `clone`, whose flags can be seen.
#[must_use]
pub fn default_profile(capabilities: CapabilitySet) -> LinuxSeccomp {
    let mut rules: Vec<LinuxSyscall> = ALWAYS.iter().map(|names| allow(names, None)).collect();
    for (capability, names) in GATED {
        if capabilities.contains(*capability) {
            rules.push(allow(names, None));
        }
    }
    for (mask, value) in SOCKET_FAMILIES {
        rules.push(allow("socket", Some(first_argument(*mask, *value))));
    }
    for personality in PERSONALITIES {
        let exactly = first_argument(u64::MAX, *personality);
        rules.push(allow("personality", Some(exactly)));
    }
    if !capabilities.contains(Capability::SysAdmin) {
        let no_namespaces = first_argument(CLONE_NAMESPACES, 0);
        rules.push(allow("clone", Some(no_namespaces)));
        rules.push(rule("clone3", LinuxSeccompAction::ScmpActErrno, Some(ENOSYS), None));
    }
    let architectures = Architecture::native().map_or(&[][..], Architecture::family);
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .architectures(architectures.iter().map(|known| known.to_oci()).collect::<Vec<_>>())
        .syscalls(rules)
        .build()
        .expect("the builder has a default for every field")
}

fn allow(names: &str, argument: Option<LinuxSeccompArg>) -> LinuxSyscall {
    rule(names, LinuxSeccompAction::ScmpActAllow, None, argument)
}

fn rule(
    names: &str,
    action: LinuxSeccompAction,
    errno: Option<u32>,
    argument: Option<LinuxSeccompArg>,
) -> LinuxSyscall {
    let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    let mut rule = LinuxSyscallBuilder::default()
        .names(names)
        .action(action)
        .build()
        .expect("the builder has a default for every field");
    rule.set_errno_ret(errno);
    rule.set_args(argument.map(|argument| vec![argument]));
    rule
}

/// The first argument, as far as `mask` goes, is `value`.
fn first_argument(mask: u64, value: u64) -> LinuxSeccompArg {
    LinuxSeccompArgBuilder::default()
        .index(0_usize)
        .value(mask)
        .value_two(value)
        .op(LinuxSeccompOperator::ScmpCmpMaskedEq)
        .build()
        .expect("the builder has a default for every field")
}
