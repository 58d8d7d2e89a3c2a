//! `signet apply` of more than one transaction takes: it says what was applied, goes on where it stopped, and lets others
//! write meanwhile. Next door: [`super::lost_commit`], where the database does not answer a commit.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{http, push, with_client};
use crate::support::program::within;

/// So many users, of whom one part of a document has 250.
fn users(count: usize) -> Vec<Value> {
    let user = |n: usize| json!({ "username": format!("user{n:04}"), "email": format!("user{n:04}@example.com") });
    (0..count).map(user).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refused_row_says_what_was_applied_before_it() {
    let program = with_client().await;
    let mut rows = users(700);
    // A name that two rows want is found before anything is applied, a weak password when its part is.
    rows[600]["email"] = json!("user0001@example.com");
    program.write("many.json", &json!({ "users": rows }).to_string());
    for arguments in [&["apply", "many.json"][..], &["apply", "--dry-run", "many.json"]] {
        let line = program.run(arguments).refused();
        assert!(line.contains("users[600].email") && line.contains("nothing was changed"), "{line}");
    }
    rows[600]["email"] = json!("user0600@example.com");
    rows[600]["password"] = json!("password");
    program.write("many.json", &json!({ "users": rows }).to_string());
    let said = program.run(&["apply", "many.json"]);
    let (line, before) = (said.refused(), program.count("person").await);
    assert!(line.contains("users[600].password") && line.contains("500 rows before it were applied"), "{line}");
    assert_eq!(before, 501, "two parts, and alice");
    rows[600].as_object_mut().unwrap().remove("password");
    program.write("many.json", &json!({ "users": rows }).to_string());
    let rehearsed = program.json(&["apply", "--dry-run", "--json", "many.json"]);
    assert_eq!((rehearsed["changes"].as_array().unwrap().len(), program.count("person").await), (200, before));
    assert_eq!(program.json(&["apply", "--json", "many.json"]), rehearsed, "it goes on from there");
    assert_eq!(program.done(&["apply", "many.json"]), "nothing to change\n");
    let pruned = program.done(&["apply", "--prune", "many.json"]);
    assert!(pruned.contains("delete user alice") && pruned.contains("delete client web"), "{pruned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_apply_is_repeated_and_completes() {
    let program = with_client().await;
    program.write("many.json", &json!({ "users": users(1_000) }).to_string());
    let other = program.neighbour();
    other.write("many.json", &json!({ "users": users(1_000) }).to_string());
    let applying = other.start(&["apply", "many.json"]);
    within(60, || async { program.count("person").await > 1 }).await;
    applying.kill();
    let there = program.count("person").await - 1;
    assert!(there % 250 == 0 && there < 1_000, "{there}: each part is there as a whole");
    program.done(&["apply", "many.json"]);
    assert_eq!(program.count("person").await, 1_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn others_write_while_a_long_document_is_applied() {
    let program = with_client().await;
    let _server = program.serve(&["serve"]);
    let (http, other) = (http(), program.neighbour());
    other.write("many.json", &json!({ "users": users(1_500) }).to_string());
    let mut applying = other.start(&["apply", "many.json"]);
    let (mut written, mut slowest) = (0, Duration::ZERO);
    while !applying.has_ended() {
        let began = Instant::now();
        assert_eq!(push(&http, &program.url()).await, 201, "after {written}");
        slowest = slowest.max(began.elapsed());
        written += 1;
    }
    assert_eq!(applying.ended().0, Some(0));
    assert!(written > 5 && slowest < Duration::from_secs(4), "{written} writes, the slowest in {slowest:?}");
}
