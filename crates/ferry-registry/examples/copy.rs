//! Pulls an image into a new store, pushes it on, and reports time and peak memory:
//! `copy FROM STORE [TO]`.

use std::path::Path;
use std::time::Instant;

use ferry_oci::Reference;
use ferry_registry::{Anonymous, Client, Config, PartialIndex, Push, Selection, Silent};
use ferry_store::Store;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(from), Some(root)) = (arguments.first(), arguments.get(1)) else {
        return Err("usage: copy FROM STORE [TO]".into());
    };
    let store = Store::open(Path::new(root))?;
    let client = Client::new(Config::default())?;
    let begin = Instant::now();
    let target = client
        .pull(&store, &Reference::parse(from)?, &Selection::All, &Anonymous, &Silent)
        .await?;
    let usage = store.usage()?;
    println!(
        "pulled {} in {:.2} s: blobs {} MB, layers {} MB",
        target.digest(),
        begin.elapsed().as_secs_f64(),
        usage.blob_bytes / 1_000_000,
        usage.layer_bytes / 1_000_000
    );
    if let Some(to) = arguments.get(2) {
        let begin = Instant::now();
        let push = Push {
            reference: Reference::parse(to)?,
            target,
            selection: Selection::All,
            partial: PartialIndex::Refuse,
        };
        client.push(&store, &push, &Anonymous, &Silent).await?;
        println!("pushed in {:.2} s", begin.elapsed().as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or("VmHWM unknown"));
    Ok(())
}
