//! Measures launch, start and exit of `true` in a busybox root, by phase, and what a monitor weighs.
//!
//! `cargo run --release -p ferry-runtime --example launch_time [rounds]`; needs root and a static
//! /bin/busybox.

use std::{
    fs,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use ferry_runtime::{
    Durability, FirstProcess, Launch, Log, Overlay, Root, Signal, Stdin, Stdio, Zygote, ZygoteOptions,
    capability::CapabilitySet, cgroup, profile, seccomp,
};

/// Containers that run at once for the measurement of memory.
const SLEEPERS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(ferry_runtime::zygote::ARGV1) {
        ferry_runtime::zygote::main();
    }
    let rounds: usize = first.map_or(Ok(200), |word| word.parse())?;

    let folder = tempfile::tempdir()?;
    let lower = folder.path().join("lower");
    fs::create_dir_all(lower.join("bin"))?;
    fs::copy("/bin/busybox", lower.join("bin/true"))?;
    fs::copy("/bin/busybox", lower.join("bin/sleep"))?;
    fs::copy("/bin/busybox", lower.join("bin/cat"))?;

    let parent = cgroup::ParentPath::parse(&format!("ferry-bench-{}", std::process::id()))?;
    let zygote = Zygote::spawn(ZygoteOptions::new(parent.clone()))?;
    let cgroups = cgroup::Parent::open(&cgroup::Layout::detect()?, &parent)?;
    let filter = seccomp::compile(&seccomp::default_profile(CapabilitySet::DEFAULT))?;
    let make = |round: usize, args: &[&str], network| -> std::io::Result<Launch> {
        let folder = folder.path().join(format!("c{round}"));
        for name in ["state", "upper", "work"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let input = profile::ProfileInput {
            hostname: Some(format!("c{round}")),
            args: args.iter().map(|word| (*word).to_owned()).collect(),
            env: vec!["PATH=/bin".to_owned()],
            cgroups: match cgroups.layout().version() {
                cgroup::Version::V1 => profile::CgroupVersion::V1,
                cgroup::Version::V2 => profile::CgroupVersion::V2,
            },
            network,
            ..profile::ProfileInput::default()
        };
        Ok(Launch {
            id: format!("c{round}"),
            spec: profile::default_spec(&input),
            seccomp: Some(filter.clone()),
            root: Root::Overlay(Overlay {
                lower: vec![lower.clone()],
                upper: folder.join("upper"),
                work: folder.join("work"),
                volatile: true,
                read_only: false,
            }),
            user: String::new(),
            groups: Vec::new(),
            first_process: FirstProcess::Program,
            stdio: Stdio {
                tty: None,
                stdin: Stdin::Open,
                log: Log::JsonFile {
                    path: folder.join("log"),
                    max_size_bytes: None,
                    max_files: 1,
                },
            },
            state_dir: folder.join("state"),
            exit_record: folder.join("exit.json"),
            durability: Durability::Volatile,
            emulate: None,
            cgroup: cgroup::ChildName::parse(&format!("c{round}")).map_err(std::io::Error::other)?,
        })
    };

    let networks = [
        ("own network", profile::Network::Private),
        ("host network", profile::Network::Host),
    ];
    for (run, (name, network)) in networks.into_iter().enumerate() {
        let mut phases = [const { Vec::new() }; 4];
        for round in 0..rounds {
            let launch = make(run * rounds + round, &["true"], network.clone())?;
            let begin = Instant::now();
            let monitor = zygote.launch(&launch)?;
            let launched = Instant::now();
            let mut watch = monitor.watch()?;
            monitor.start()?;
            let started = Instant::now();
            let mut record = Vec::new();
            watch.read_to_end(&mut record)?;
            let ended = Instant::now();
            phases[0].push(launched - begin);
            phases[1].push(started - launched);
            phases[2].push(ended - started);
            phases[3].push(ended - begin);
        }
        println!("{name}, {rounds} rounds, least, median and 99th percentile in µs:");
        for (phase, times) in ["launch", "start", "exit", "all"].iter().zip(&mut phases) {
            times.sort_unstable();
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
            println!("  {phase:8}{:8}{:8}{:8}", at(0), at(50), at(99));
        }
    }

    let mut sleepers = Vec::new();
    for number in 0..SLEEPERS {
        let launch = make(2 * rounds + number, &["sleep", "1000"], profile::Network::Host)?;
        let monitor = zygote.launch(&launch)?;
        monitor.start()?;
        sleepers.push(monitor);
    }
    std::thread::sleep(Duration::from_secs(1));
    let mut total_kib = 0;
    for monitor in &sleepers {
        let status = fs::read_to_string(format!("/proc/{}/status", monitor.pid()))?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
        total_kib += pss_kib(parent.unwrap_or("self"))?;
    }
    let zygote_kib = pss_kib(&zygote.pid().to_string())?;
    let each_kib = total_kib / SLEEPERS as u64;
    println!("PSS: zygote {zygote_kib} kB, {SLEEPERS} monitors {each_kib} kB each");
    if std::env::var_os("PAUSE").is_some() {
        println!("monitor of {}; enter goes on", sleepers[0].pid());
        std::io::stdin().read_line(&mut String::new())?;
    }
    for monitor in sleepers {
        let mut watch = monitor.watch()?;
        monitor.signal(Signal::KILL)?;
        watch.read_to_end(&mut Vec::new())?;
    }

    println!("output into the log, MB/s: {:.0}", log_speed(&zygote, &make)?);
    drop(zygote);
    std::thread::sleep(Duration::from_millis(200));
    cgroups.remove()?;
    Ok(())
}

/// Makes the launch of a numbered container.
type Make<'a> = dyn Fn(usize, &[&str], profile::Network) -> std::io::Result<Launch> + 'a;

fn log_speed(zygote: &Zygote, make: &Make<'_>) -> Result<f64, Box<dyn std::error::Error>> {
    const LINE: &str =
        "an ordinary line of output, as programs write them: about a hundred bytes long, with \"quotes\" in it\n";
    const BYTES: usize = 200_000_000;
    let launch = make(usize::MAX, &["cat", "/input"], profile::Network::Host)?;
    let Root::Overlay(overlay) = &launch.root else {
        unreachable!()
    };
    fs::write(overlay.upper.join("input"), LINE.repeat(BYTES / LINE.len()))?;
    let monitor = zygote.launch(&launch)?;
    let begin = Instant::now();
    let mut watch = monitor.watch()?;
    monitor.start()?;
    watch.read_to_end(&mut Vec::new())?;
    Ok(BYTES as f64 / 1e6 / begin.elapsed().as_secs_f64())
}

fn pss_kib(process: &str) -> std::io::Result<u64> {
    let rollup = fs::read_to_string(Path::new("/proc").join(process).join("smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.and_then(|number| number.parse().ok()).unwrap_or(0))
}
