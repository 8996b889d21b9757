//! A build that is dropped: what runs ends, what is half-made goes, what is finished stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ferry_build::{BuildRequest, LocalContext, PortError, Ports, Step, StepOutput, StepRunner, build};
use tokio::sync::Notify;

use crate::house::{House, is_root, platform};

/// Runs for ever; knows when it was dropped.
#[derive(Default)]
struct Endless {
    started: Notify,
    dropped: Arc<AtomicBool>,
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl StepRunner for Endless {
    async fn run(&self, step: &Step, _output: &StepOutput) -> Result<i32, PortError> {
        if step.args.last().is_some_and(|script| script == "quick") {
            return Ok(0);
        }
        let _dropped = Dropped(self.dropped.clone());
        self.started.notify_one();
        std::future::pending().await
    }
}

#[test]
fn dropping_a_build_ends_its_steps() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let dockerfile = house.folder.path().join("Dockerfile");
    std::fs::write(&dockerfile, "FROM scratch\nRUN quick\nRUN slow\n").unwrap();
    let runner = Arc::new(Endless::default());
    let ports = Ports {
        store: house.store.clone(),
        images: house.images.clone(),
        runner: runner.clone(),
        context: LocalContext::new(house.context(), dockerfile),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move { while receiver.recv().await.is_some() {} });
        tokio::select! {
            _ = build(BuildRequest::new(platform("linux/amd64")), &ports, sender) => panic!("it cannot end"),
            () = runner.started.notified() => {}
        }
    });
    drop(runtime);
    assert!(runner.dropped.load(Ordering::SeqCst));
    assert_eq!(house.store.snapshots().list().unwrap(), []);
    let cache = ferry_build::BuildCache::open(&house.store);
    assert_eq!(cache.entries().unwrap().len(), 1);
}

#[test]
fn what_a_crash_leaves_is_found() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let snapshots = house.store.snapshots();
    for name in ["build-1", "mine"] {
        let id = name.parse().unwrap();
        snapshots.prepare(&id, &[], ferry_store::Durability::Volatile).unwrap();
    }
    std::fs::create_dir_all(house.store.root().join("build/tmp/x")).unwrap();
    ferry_build::BuildCache::open(&house.store).recover().unwrap();
    let left: Vec<String> = snapshots.list().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(left, ["mine"]);
    assert!(!house.store.root().join("build/tmp").exists());
}
