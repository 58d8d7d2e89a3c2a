//! A schema that is not what the migrations make, and a master key that is gone: refused, and never served.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use sea_orm::ConnectionTrait as _;

use super::{http, status, with_client};

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
    let program = with_client().await;
    assert!(program.done(&["doctor"]).contains("ok     file modes"));
    std::fs::set_permissions(program.data().join("master.key"), Permissions::from_mode(0o644)).unwrap();
    let said = program.run(&["doctor"]);
    assert!(said.out.contains("WRONG  file modes") && said.out.contains("chmod 600"), "{}", said.out);
}
