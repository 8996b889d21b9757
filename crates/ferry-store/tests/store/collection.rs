//! Garbage collection takes what nothing holds, and nothing else.

use ferry_oci::{DiffId, Digest, Reference};
use ferry_store::{Durability, Roots};

use crate::fixture::{Fixture, Packed, Packing, is_root, pack, simple, snapshot_id};

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn layer(fixture: &Fixture, content: &str) -> Packed {
    fixture.layer(&simple("f", content.as_bytes())).unwrap()
}

fn blob(packed: &Packed) -> Digest {
    Digest::try_from(packed.descriptor.digest()).unwrap()
}

#[test]
fn what_is_held_stays_and_the_rest_goes() {
    if !is_root("what_is_held_stays_and_the_rest_goes") {
        return;
    }
    let fixture = Fixture::new();
    let [named, kept, snapshot, loose] = ["named", "kept", "snapshot", "loose"].map(|name| layer(&fixture, name));
    let manifest = fixture.manifest(&[&named], "linux/amd64");
    let index = fixture.index(&[(&manifest, "linux/amd64")]);
    let store = &fixture.store;
    store.images().put(&reference("a"), index).unwrap();
    let id = snapshot_id("s");
    store
        .snapshots()
        .prepare(&id, &[snapshot.diff_id], Durability::Volatile)
        .unwrap();
    let roots = Roots {
        layers: vec![kept.diff_id],
        blobs: vec![blob(&kept)],
        ..Roots::default()
    };
    let reclaimed = store.gc(&roots).unwrap();
    assert_eq!(reclaimed.layers, [loose.diff_id]);
    assert_eq!(reclaimed.blobs.len(), 2, "the loose blob and the snapshot's");
    assert!(reclaimed.size_bytes >= 5);
    assert!(store.content().has(&blob(&named)) && store.content().has(&blob(&kept)));
    assert!(store.layers().has(&snapshot.diff_id) && store.layers().has(&named.diff_id));
    assert_eq!(store.gc(&roots).unwrap().layers, []);

    store.snapshots().remove(&id).unwrap();
    store.images().remove(&reference("a")).unwrap();
    let reclaimed = store.gc(&Roots::default()).unwrap();
    assert_eq!(reclaimed.layers.len(), 3);
    assert_eq!(store.content().list().unwrap(), []);
    store.empty_trash().unwrap();
    assert_eq!(std::fs::read_dir(fixture.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn a_target_that_lost_its_name_is_held_by_roots() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[], "linux/amd64");
    let roots = Roots {
        targets: vec![manifest],
        ..Roots::default()
    };
    assert_eq!(fixture.store.gc(&roots).unwrap().blobs, []);
    assert_eq!(fixture.store.gc(&Roots::default()).unwrap().blobs.len(), 2);
}

#[test]
fn a_lease_protects_what_was_added_or_looked_up() {
    if !is_root("a_lease_protects_what_was_added_or_looked_up") {
        return;
    }
    let fixture = Fixture::new();
    let store = &fixture.store;
    let (before, forgotten) = (layer(&fixture, "before"), layer(&fixture, "forgotten"));
    let lease = store.lease();
    assert!(store.layers().has(&before.diff_id));
    let added = layer(&fixture, "added");
    let reclaimed = store.gc(&Roots::default()).unwrap();
    assert_eq!(reclaimed.layers, [forgotten.diff_id]);
    assert!(store.content().has(&blob(&added)));
    let later = store.lease();
    assert!(store.layers().has(&added.diff_id));
    drop(lease);
    assert_eq!(store.gc(&Roots::default()).unwrap().layers, [before.diff_id]);
    assert!(store.layers().has(&added.diff_id));
    drop(later);
    assert_eq!(store.gc(&Roots::default()).unwrap().layers, [added.diff_id]);
}

/// Pulls, tags, snapshots and collections at once: whoever was told that something is there finds it.
#[test]
fn collecting_races_with_everything_else() {
    if !is_root("collecting_races_with_everything_else") {
        return;
    }
    let fixture = Fixture::new();
    let store = &fixture.store;
    let packed: Vec<_> = (0..4)
        .map(|index| pack(&simple("f", &[index; 2000]), Packing::Gzip))
        .collect();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (fixture, packed) = (&fixture, &packed);
                scope.spawn(move || {
                    for round in 0..10 {
                        let packed = &packed[(worker + round) % 4];
                        let name = format!("w{worker}");
                        let lease = store.lease();
                        let is_here = store.layers().has(&packed.diff_id);
                        if !is_here || !store.content().has(&blob(packed)) {
                            fixture.import(packed).unwrap();
                        }
                        let manifest = fixture.manifest(&[packed], "linux/amd64");
                        store.images().put(&reference(&name), manifest.clone()).unwrap();
                        drop(lease);
                        let image = store.image(&manifest, &"linux/amd64".parse().unwrap()).unwrap();
                        let id = snapshot_id(&name);
                        let layers: Vec<DiffId> = image.diff_ids();
                        let overlay = store.snapshots().prepare(&id, &layers, Durability::Volatile).unwrap();
                        store.images().remove(&reference(&name)).unwrap();
                        assert!(overlay.lower[0].join("f").exists());
                        store.snapshots().remove(&id).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                store.gc(&Roots::default()).unwrap();
                store.empty_trash().unwrap();
            }
        });
        for worker in workers {
            let result = worker.join();
            if result.is_err() {
                is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            result.unwrap();
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    store.gc(&Roots::default()).unwrap();
    assert_eq!(store.layers().list().unwrap(), []);
    assert_eq!(store.content().list().unwrap(), []);
    fixture.assert_tidy();
}
