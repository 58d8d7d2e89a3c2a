//! Many tokens that were revoked by themselves (RFC 7009): a node starts in seconds, and refuses each of them.
//!
//! `REVOKED_TOKENS` says how many; the default is 200,000.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend};
use signet::domain::version::RevocationKey;
use signet::env::Timestamp;

use crate::support::Server;

fn jti(number: u64) -> RevocationKey {
    RevocationKey::from_bytes(format!("{number:016}").as_bytes()).unwrap()
}

/// Revokes the tokens of these numbers as `store::revoked_tokens` does, in two statements.
async fn revoke(server: &Server, (first, last): (u64, u64), expires_at: Timestamp) {
    let (db, now, end) = (server.app.store().read(), server.app.env().now().0, expires_at.0);
    let entry = format!("{{\"what\":\"token\",\"of\":[\"MDAwMDAwMDAwMDAwMDAwMA\",{end}]}}");
    let series = format!("WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last})");
    let bytes = match db.get_database_backend() {
        DbBackend::Postgres => "convert_to(lpad(n::text, 16, '0'), 'UTF8')",
        _ => "CAST(printf('%016d', n) AS BLOB)",
    };
    for statement in [
        format!("{series} INSERT INTO revoked_token (jti, expires_at) SELECT {bytes}, {end} FROM s"),
        format!("{series} INSERT INTO change_feed (at, tag, kind, entry) SELECT {now}, n, 'token', '{entry}' FROM s"),
    ] {
        db.execute_unprepared(&statement).await.unwrap();
    }
}

/// The limits leave room for a debug build on a busy machine.
#[tokio::test]
async fn a_node_starts_in_seconds_with_many_revoked_tokens() {
    let number = std::env::var("REVOKED_TOKENS").map_or(200_000, |number| number.parse().unwrap());
    let server = Server::start().await;
    let end = server.app.env().now().plus_seconds(3_600);
    // A statement has nine seconds.
    for first in (1..=number).step_by(100_000) {
        revoke(&server, (first, number.min(first + 99_999)), end).await;
    }
    #[expect(clippy::disallowed_methods, reason = "a duration is measured")]
    let begun = Instant::now();
    let second = server.node().await;
    let took = begun.elapsed();
    println!("{number} revoked tokens: a node starts in {took:?}");
    assert!(took < Duration::from_secs(15 + number / 20_000), "{took:?}");
    let revocations = second.app.store().authority().revocations();
    assert!((1..=number).all(|at| revocations.is_token_revoked(jti(at), end)), "each is refused");
    assert!(!revocations.is_token_revoked(jti(number + 1), end));
    // What is revoked from now on arrives by the feed.
    let (new, ends) = (jti(number + 1), end);
    let revoke = server
        .app
        .store()
        .write(move |tx| Box::pin(async move { signet::store::revoked_tokens::insert(tx, new, ends).await }));
    revoke.await.unwrap();
    second.app.store().authority().catch_up(second.app.store()).await.unwrap();
    assert!(revocations.is_token_revoked(new, end));
}
