//! The same input gives the same digest: from other folders, other users, other days, with and without cache.

use ferry_tests::{Emulators, Engine, Host, Setup};

const DOCKERFILE: &str = "\
FROM busybox AS made
RUN mkdir -p /made/deep && for i in 1 2 3 4 5 6 7 8 9; do echo $i >/made/deep/$i; done && ln /made/deep/1 /made/one && ln -s deep/2 /made/two
FROM busybox
LABEL kind=test
WORKDIR /srv/app
COPY --from=made /made ./made
COPY . ./context
RUN echo sailor:x:1234:1234::/:/bin/sh >>/etc/passwd && mkdir -m 1777 scratch && mkfifo scratch/pipe && chown -R sailor made && rm -rf /var
USER sailor
CMD [\"sh\"]
";

fn context(host: &Host, name: &str) {
    host.file(&format!("{name}/Dockerfile"), DOCKERFILE);
    host.file(&format!("{name}/a/file"), "a");
    host.file(&format!("{name}/b"), "b".repeat(100_000));
    host.file(&format!("{name}/run.sh"), "#!/bin/sh\n");
    host.sh(&format!(
        "cd {name} && chmod -R u=rwX,go=rX . && chmod 755 run.sh && ln -s b link"
    ))
    .succeeds();
}

#[test]
fn two_roots_two_users_two_clocks_one_digest() {
    let Some(host) = Host::new() else { return };
    context(&host, "here");
    context(&host, "elsewhere/and/deeper");
    // Another owner, other times, another order of creation in the folder.
    host.sh("chown -R 1000:1000 elsewhere/and/deeper && find elsewhere -exec touch -h -d 1999-12-31T23:59:59 {} + ")
        .succeeds();
    host.sh("cd elsewhere/and/deeper && mv b c && mv a z && mv c b && mv z a")
        .succeeds();

    let one = Engine::set_up(
        &host,
        Setup {
            name: "one",
            ..Setup::default()
        },
    );
    if one.make_busybox().is_none() {
        return;
    }
    one.sh("ferry build -t app here").succeeds();
    let digest = one.digest("app");

    // An engine that started under another umask and time zone, and a client that is another user.
    let environment = vec![("TZ".to_owned(), "Pacific/Kiritimati".to_owned())];
    let two = Engine::set_up(
        &host,
        Setup {
            name: "two",
            environment,
            emulators: Emulators::All,
        },
    );
    two.make_busybox();
    // The binary may lie where another user cannot go.
    host.sh("cp bin/ferry bin/copy && mv bin/copy bin/ferry && chmod 755 bin/ferry")
        .succeeds();
    host.sh("chmod 711 . two two/run && chmod -R go+rX elsewhere && chmod 755 bin")
        .succeeds();
    assert_eq!(two.digest("busybox"), one.digest("busybox"));
    let other_user = "umask 077 && HOME=/tmp setpriv --reuid 1000 --regid 0 --clear-groups env";
    two.sh(&format!("{other_user} ferry build -t app elsewhere/and/deeper"))
        .succeeds();
    assert_eq!(
        two.digest("app"),
        digest,
        "another engine, user, umask, folder and time zone"
    );

    two.sh("ferry build --no-cache -t again here").succeeds();
    assert_eq!(two.digest("again"), digest, "without the cache");
}

#[test]
fn a_given_time_is_part_of_the_digest_and_of_the_cache_key() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/Dockerfile", "FROM busybox\nRUN echo x >/x\n");
    engine.sh("ferry build -t plain app").succeeds();
    for (variable, expected) in [("", "1980-01-02"), ("SOURCE_DATE_EPOCH=1000000000", "2001-09-09")] {
        engine.sh(&format!("{variable} ferry build -t dated app")).succeeds();
        engine
            .sh("ferry run --rm dated stat -c %y /x")
            .succeeds()
            .says(expected);
    }
    assert_ne!(engine.digest("dated"), engine.digest("plain"));
    let dated = engine.digest("dated");
    engine
        .sh("SOURCE_DATE_EPOCH=1000000000 ferry build --no-cache -t dated app")
        .succeeds();
    assert_eq!(engine.digest("dated"), dated);
    engine.sh("ferry build -t plainer app").succeeds();
    assert_eq!(engine.digest("plainer"), engine.digest("plain"));
}
