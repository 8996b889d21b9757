//! What is done again, and what is not.

use std::collections::BTreeMap;

use ferry_build::{BuildCache, CacheUse};

use crate::house::{House, directory, file, is_root};

#[test]
fn an_unchanged_build_does_nothing() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house
        .base("base", "linux/amd64", &[directory("app")], "{}")
        .file("a", "1");
    let text = "FROM base\nWORKDIR /app\nCOPY . .\nRUN write /b 2\nFROM base\nCOPY --from=0 /b /c\n";
    let first = house.build(text);
    assert_eq!(first.runs, 1);
    let second = house.build(text);
    assert_eq!(second.runs, 0);
    assert_eq!(second.worked(), Vec::<String>::new());
    assert_eq!(first.digest(), second.digest());
}

#[test]
fn only_content_counts_for_a_copy() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house
        .file("a", "1")
        .file("ignored", "1")
        .file(".dockerignore", "ignored\nDockerfile\n");
    let text = "FROM scratch\nCOPY . /x/\nRUN write /b 2\n";
    let first = house.build(text);
    // Another time, another owner, other neighbours.
    let path = house.context().join("a");
    let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(past)
        .unwrap();
    std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
    house.file("ignored", "2");
    let second = house.build(text);
    assert_eq!((second.runs, second.worked()), (0, vec![]));
    assert_eq!(first.digest(), second.digest());
    house.file("a", "2");
    let third = house.build(text);
    assert_eq!(third.runs, 1);
    assert_ne!(first.digest(), third.digest());
    house.file("a", "1");
    let fourth = house.build(text);
    assert_eq!((fourth.runs, fourth.digest()), (0, first.digest()));
}

#[test]
fn equal_results_meet_again() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.file("a", "1");
    // The first step is another, its result is the same: what follows is known.
    let first = house.build("FROM scratch\nRUN write /a 1\nRUN write /b 2\n");
    assert_eq!(first.runs, 2);
    let second = house.build("FROM scratch\nRUN write /a 1;print other\nRUN write /b 2\n");
    assert_eq!(second.runs, 1);
    assert_eq!(first.config().rootfs.diff_ids, second.config().rootfs.diff_ids);
}

#[test]
fn a_copied_layer_outlives_a_change_of_its_base() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base("one", "linux/amd64", &[file("x", "1")], "{}");
    house.base("two", "linux/amd64", &[file("x", "2")], "{}");
    house.file("a", "1");
    let first = house.build("FROM one\nCOPY a /new/\n");
    let second = house.build("FROM two\nCOPY a /new/\n");
    assert_eq!(second.worked(), Vec::<String>::new());
    let last = |outcome: &crate::house::Outcome| *outcome.config().rootfs.diff_ids.last().unwrap();
    assert_eq!(last(&first), last(&second));
}

#[test]
fn what_a_process_sees_is_in_its_key_and_proxies_are_not() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let runs = |text: &str, args: &[(&str, &str)]| {
        let mut request = house.request(&["linux/amd64"]);
        request.build_args = args
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>();
        house.build_as(text, request).runs
    };
    let text = "FROM scratch\nARG a\nRUN env a /a;env http_proxy /p\n";
    assert_eq!(runs(text, &[("a", "1")]), 1);
    assert_eq!(runs(text, &[("a", "1")]), 0);
    assert_eq!(runs(text, &[("a", "2")]), 1);
    assert_eq!(runs(text, &[("a", "1"), ("http_proxy", "x")]), 0);
    assert_eq!(
        runs(
            "FROM scratch\nARG a\nUSER 1\nRUN env a /a;env http_proxy /p\n",
            &[("a", "1")]
        ),
        1
    );
    assert_eq!(
        runs(
            "FROM scratch\nARG a\nRUN --network=none env a /a;env http_proxy /p\n",
            &[("a", "1")]
        ),
        1
    );
    assert_eq!(runs(text, &[("a", "1"), ("SOURCE_DATE_EPOCH", "5")]), 1);
}

#[test]
fn no_cache_runs_everything_and_keeps_what_it_made() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let text = "FROM scratch AS a\nRUN write /a 1\nFROM a AS b\nRUN write /b 1\n";
    let first = house.build(text);
    let with = |cache: CacheUse| {
        let mut request = house.request(&["linux/amd64"]);
        request.cache = cache;
        house.build_as(text, request)
    };
    let again = with(CacheUse::None);
    assert_eq!((again.runs, again.digest()), (2, first.digest()));
    assert_eq!(with(CacheUse::Except(vec!["b".to_owned()])).runs, 1);
    assert_eq!(with(CacheUse::All).runs, 0);
}

#[test]
fn a_record_without_its_layer_is_a_miss() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let text = "FROM scratch\nRUN write /a 1\n";
    let first = house.build(text);
    let digest = first.digest();
    let cache = BuildCache::open(&house.store);
    assert_eq!(cache.layers().unwrap(), first.config().rootfs.diff_ids);
    assert_eq!(cache.entries().unwrap()[0].name, "[1/1] RUN write /a 1");
    drop(first);
    let reclaimed = house.store.gc(&ferry_store::Roots::default()).unwrap();
    assert_eq!(reclaimed.layers.len(), 1);
    let second = house.build(text);
    assert_eq!((second.runs, second.digest()), (1, digest));
    // An unreadable record is one too.
    for folder in std::fs::read_dir(house.store.root().join("build/cache")).unwrap() {
        for record in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            std::fs::write(record.unwrap().path(), "").unwrap();
        }
    }
    assert_eq!(house.build(text).runs, 1);
    cache.clear().unwrap();
    assert_eq!(house.build(text).runs, 1);
}

#[test]
fn finished_steps_of_a_failed_build_are_kept() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let first = house.build("FROM scratch\nRUN write /a 1\nRUN exit 3\n");
    assert!(first.result.is_err());
    let second = house.build("FROM scratch\nRUN write /a 1\nRUN write /b 1\n");
    assert_eq!(second.runs, 1);
}
