//! A schema that is not what the migrations make, and a master key that is gone: refused, and never served.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sea_orm::ConnectionTrait as _;

use super::{http, postgres, status, with_client};
use crate::support::program::Program;

#[tokio::test]
async fn a_damaged_schema_is_never_served() {
    let program = with_client().await;
    let server = program.serve(&["serve"]);
    let db = program.database().await;
    db.execute_unprepared("ALTER TABLE consent DROP COLUMN created_at").await.unwrap();
    assert_eq!(status(&http(), format!("{}/readyz", program.url())).await, 503);
    server.stop();
    for command in [["serve"].as_slice(), &["migrate"], &["user", "list"], &["export"]] {
        let line = program.run(command).refused();
        assert!(line.contains("consent has no column created_at"), "{line}");
    }
    let said = program.run(&["doctor"]);
    assert!(said.out.contains("WRONG  database") && said.out.contains("created_at"), "{}", said.out);
    assert!(!said.out.contains("up to date"), "{}", said.out);
}

#[tokio::test]
async fn a_missing_index_or_table_is_named() {
    let program = with_client().await;
    let db = program.database().await;
    db.execute_unprepared("DROP INDEX change_feed_at_idx").await.unwrap();
    assert!(program.run(&["serve"]).refused().contains("no index change_feed_at_idx"));
    db.execute_unprepared("DROP TABLE consent").await.unwrap();
    assert!(program.run(&["serve"]).refused().contains("no table consent"));
}

/// What differs behind the same names, as (damage, what is said, repair).
const SQLITE_DAMAGE: [(&str, &str, &str); 5] = [
    (
        "DROP TABLE taken_username; CREATE TABLE taken_username (skeleton varchar NOT NULL, taken_at integer NOT NULL)",
        "taken_username has no primary key on (skeleton)",
        "DROP TABLE taken_username; \
         CREATE TABLE taken_username (skeleton varchar NOT NULL PRIMARY KEY, taken_at integer NOT NULL)",
    ),
    (
        "DROP TABLE person_group; CREATE TABLE person_group (name varchar NOT NULL PRIMARY KEY, created_at integer)",
        "person_group.created_at is integer instead of integer NOT NULL",
        "DROP TABLE person_group; CREATE TABLE person_group (name varchar NOT NULL PRIMARY KEY, created_at text NOT NULL)",
    ),
    (
        "SELECT 1",
        "person_group.created_at is text NOT NULL instead of integer NOT NULL",
        "DROP TABLE person_group; \
         CREATE TABLE person_group (name varchar NOT NULL PRIMARY KEY, created_at integer NOT NULL)",
    ),
    (
        "DROP TABLE initial_access; CREATE TABLE initial_access (digest blob(32) NOT NULL PRIMARY KEY, \
         id uuid_text NOT NULL, uses_left integer, created_at integer NOT NULL, expires_at integer NOT NULL); \
         CREATE INDEX initial_access_expires_at_idx ON initial_access (expires_at)",
        "initial_access has no unique index on (id)",
        "CREATE UNIQUE INDEX initial_access_id ON initial_access (id)",
    ),
    (
        "DROP INDEX change_feed_xid_idx; CREATE INDEX change_feed_xid_idx ON change_feed (seq)",
        "change_feed_xid_idx is not the index on change_feed (xid)",
        "DROP INDEX change_feed_xid_idx; CREATE INDEX change_feed_xid_idx ON change_feed (xid)",
    ),
];

const POSTGRES_DAMAGE: [(&str, &str, &str); 7] = [
    (
        "ALTER TABLE membership DROP CONSTRAINT membership_pkey",
        "membership has no primary key on (user_id, group_name)",
        "ALTER TABLE membership ADD PRIMARY KEY (user_id, group_name)",
    ),
    (
        "ALTER TABLE person DROP CONSTRAINT person_username_key",
        "person has no unique index on (username)",
        "ALTER TABLE person ADD UNIQUE (username) DEFERRABLE",
    ),
    (
        "SELECT 1",
        "person has no unique index on (username)",
        "ALTER TABLE person DROP CONSTRAINT person_username_key, ADD UNIQUE (username)",
    ),
    (
        "ALTER TABLE session ALTER user_id DROP NOT NULL",
        "session.user_id is uuid instead of uuid NOT NULL",
        "ALTER TABLE session ALTER user_id SET NOT NULL",
    ),
    (
        "ALTER TABLE change_feed ALTER xid DROP DEFAULT",
        "change_feed.xid is bigint NOT NULL instead of bigint NOT NULL DEFAULT",
        "ALTER TABLE change_feed ALTER xid SET DEFAULT pg_current_xact_id()::text::bigint",
    ),
    (
        "ALTER TABLE change_feed ALTER at TYPE integer",
        "change_feed.at is integer NOT NULL instead of bigint NOT NULL",
        "ALTER TABLE change_feed ALTER at TYPE bigint",
    ),
    (
        "DROP INDEX change_feed_xid_idx; CREATE INDEX change_feed_xid_idx ON change_feed (seq)",
        "change_feed_xid_idx is not the index on change_feed (xid)",
        "DROP INDEX change_feed_xid_idx; CREATE INDEX change_feed_xid_idx ON change_feed (xid)",
    ),
];

#[tokio::test]
async fn a_changed_key_index_or_column_is_named() {
    let program = Program::new().await;
    program.done(&["migrate"]);
    let db = program.database().await;
    let damages: &[_] = if postgres() { &POSTGRES_DAMAGE } else { &SQLITE_DAMAGE };
    let unique = ("CREATE UNIQUE INDEX own ON session (user_id)", "a unique index own", "DROP INDEX own");
    for (damage, says, repair) in damages.iter().chain([&unique]) {
        db.execute_unprepared(damage).await.unwrap();
        let line = program.run(&["migrate"]).refused();
        assert!(line.contains(says), "{damage}: {line}");
        db.execute_unprepared(repair).await.unwrap();
    }
    db.execute_unprepared("CREATE INDEX own ON session (address)").await.unwrap();
    program.done(&["migrate"]);
    db.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
    assert!(program.run(&["migrate"]).refused().contains("no record of migrations"));
    db.close().await.unwrap();
}

#[tokio::test]
async fn the_doctor_makes_no_database() {
    let mut program = Program::new().await;
    if postgres() {
        let said = program.done(&["doctor"]);
        assert!(said.contains("note   database") && said.contains("holds nothing yet"), "{said}");
        assert_eq!(program.count("pg_tables WHERE schemaname = current_schema()").await, 0);
        return;
    }
    let file = program.folder.path().join("typo.db");
    program.set("SIGNET_DATABASE_URL", &format!("sqlite://{}", file.display()));
    for _ in 0..2 {
        let said = program.done(&["doctor"]);
        assert!(said.contains(&format!("note   database: {} holds nothing yet", file.display())), "{said}");
        assert_eq!(file.metadata().map_or(0, |metadata| metadata.len()), 0);
        let files = std::fs::read_dir(program.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(files.into_iter().all(|name| name == "typo.db"), "no folder, no lock");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test]
async fn a_missing_master_key_is_not_made_anew_over_data() {
    let program = with_client().await;
    let key = program.data().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    for command in [["serve"].as_slice(), &["client", "list"], &["export"]] {
        let line = program.run(command).refused();
        assert!(line.contains("master.key") && line.contains("restore"), "{line}");
    }
    let said = program.run(&["doctor"]);
    assert!(said.out.contains("WRONG  master key"), "{}", said.out);
    assert!(!key.exists());
    std::fs::write(&key, kept).unwrap();
    program.serve(&["serve"]).stop();
}

#[tokio::test]
async fn the_doctor_sees_files_that_others_can_read() {
    let mut program = with_client().await;
    assert!(program.done(&["doctor"]).contains("ok     file modes"));
    let set_mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let at = |name: &str| program.folder.path().join(name);
    let (key, settings, tls_key) = (program.data().join("master.key"), at("signet.toml"), at("tls.pem"));
    let (file, wal) = (at("elsewhere.db"), at("elsewhere.db-wal"));
    let secret = "master_key = \"b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=\"\n";
    for (path, text) in [(&settings, secret), (&tls_key, ""), (&file, ""), (&wal, "")] {
        std::fs::write(path, text).unwrap();
        set_mode(path, 0o644);
    }
    set_mode(&key, 0o640);
    program.set("SIGNET_DATABASE_URL", &format!("sqlite://{}", file.display()));
    program.set("SIGNET_TLS__KEY_FILE", tls_key.to_str().unwrap());
    program.set("SIGNET_TLS__CERT_FILE", "cert.pem");
    let said = program.run(&["doctor"]).out;
    let line = said.lines().find(|line| line.starts_with("WRONG  file modes")).unwrap();
    for (path, mode) in [(&file, "600"), (&wal, "600"), (&tls_key, "o-rwx")] {
        assert!(line.contains(&format!("chmod {mode} {}", path.display())), "{line}");
    }
    assert!(line.contains("chmod 600 ./data/master.key") && line.contains("signet.toml"), "{line}");
    // A group that has to read them is the administrator's choice; what Signet makes is its own.
    for (path, mode) in [(&settings, 0o640), (&tls_key, 0o640), (&key, 0o600), (&file, 0o600), (&wal, 0o600)] {
        set_mode(path, mode);
    }
    assert!(program.run(&["doctor"]).out.contains("ok     file modes"));
    // Without a secret everybody may read it; a password in the database's address is one.
    for (text, is_open) in [("name = \"Signet\"\n", false), ("database_url = \"postgres://u:p@127.0.0.1:1/x\"\n", true)]
    {
        std::fs::write(&settings, text).unwrap();
        set_mode(&settings, 0o644);
        assert_eq!(program.run(&["doctor"]).out.contains("WRONG  file modes"), is_open, "{text}");
    }
}
