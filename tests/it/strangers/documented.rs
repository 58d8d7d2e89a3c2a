//! docs/security.md has the limits, and what they come to in bytes.

use sea_orm::{ConnectionTrait as _, DbBackend};
use serde_json::{Value, json};
use signet::config::Quotas;

use super::{ONE, form, number, post, server};

fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

fn read(cell: &str) -> u64 {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let factor = match unit {
        "" => 1,
        "KiB" => 1024,
        "MB" => 1_000_000,
        _ => panic!("{cell}"),
    };
    number.replace(',', "").parse::<u64>().unwrap() * factor
}

/// The table in docs/security.md has the limits of the defaults, and what they come to.
#[test]
fn documented_totals_are_those_of_the_defaults() {
    let text = include_str!("../../../docs/security.md");
    let section = text.split("## What a stranger can store").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let quotas = Quotas::default();
    for (setting, per_address, total, days) in [
        ("interactions", Some(quotas.interactions_per_address), quotas.interactions, 1),
        ("pushed_requests", Some(quotas.pushed_requests_per_address), quotas.pushed_requests, 1),
        ("device_codes", None, quotas.device_codes, 1),
        ("client_assertions", Some(quotas.client_assertions_per_address), quotas.client_assertions, 1),
        ("failure_counters", None, quotas.failure_counters, 1),
        ("failure_events", Some(quotas.failure_events_per_address), quotas.failure_events, 90),
        ("a tenth of `failure_events", Some(quotas.failure_events_per_address / 10), quotas.failure_events / 10, 90),
        ("self_registered_users", None, quotas.self_registered_users, 1),
    ] {
        let row = rows.iter().find(|row| row[0].contains(&format!("{setting}`"))).expect(setting);
        assert!(per_address.is_none_or(|number| row[1].starts_with(&grouped(number))), "{row:?}");
        assert!(row[2].starts_with(&grouped(total)), "{row:?}");
        let (bytes, documented) = (u64::from(total) * days * read(row[3]), read(row[5]));
        assert!(documented * 101 / 100 >= bytes && documented * 9 / 10 <= bytes, "{bytes}: {row:?}");
    }
    assert!(text.contains(&format!("{} sign-ins in an hour (`sign_ins_per_user`)", quotas.sign_ins_per_user)));
    let by_default = rows.iter().filter(|row| !row[0].contains("off by default") && !row[0].contains("in memory"));
    let sum: u64 = by_default.map(|row| read(row[5])).sum();
    assert!(section.contains(&format!("this is {}.{} GB", sum / 1_000_000_000, sum / 100_000_000 % 10 + 1)), "{sum}");
}

/// As the table says: 52 KiB with everything that is kept beside it.
#[tokio::test]
async fn the_largest_pushed_request_takes_at_most_52_kib() {
    const NUMBER: i64 = 100;
    let server = server(Quotas::default()).await;
    let mut form = form(&server, "native");
    let claims: serde_json::Map<String, Value> =
        (10..71).map(|at| (format!("{}{at}", "\u{e4}".repeat(38)), Value::Object(serde_json::Map::new()))).collect();
    form.push(("claims".to_owned(), json!({ "userinfo": claims }).to_string()));
    form.retain(|(name, _)| name != "state");
    // Each of these bytes is three in a form.
    form.push(("state".to_owned(), "\u{e4}".repeat(4096)));
    form.push(("login_hint".to_owned(), "a".repeat(8000)));
    let size = match server.app.store().read().get_database_backend() {
        DbBackend::Postgres => "(SELECT pg_database_size(current_database()) AS bytes) s",
        _ => "(SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()) s",
    };
    let before = number(&server, "SUM(bytes)", size).await;
    for _ in 0..NUMBER {
        assert_eq!(post(&server, "/oauth2/par", "native", ONE, &form).await.status(), 201);
    }
    let kept = number(&server, "MIN(LENGTH(parameters))", "pushed_request").await;
    let each = (number(&server, "SUM(bytes)", size).await - before) / NUMBER;
    println!("{kept} bytes of parameters take {each}");
    assert!((46 * 1024..=48 * 1024).contains(&kept), "{kept}");
    assert!(each <= 52 * 1024, "{each}");
}
