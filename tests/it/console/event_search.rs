//! Searching many audit events: what a search names is found among all of them, in a time that does not grow with them.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database, DbBackend};
use signet::domain::event::{Event, EventKind};
use signet::domain::ids::{ClientId, UserId};
use signet::env::Timestamp;
use signet::manage::{AuditContext, groups};
use signet::store::event_search::{MAX_SCANNED, SearchTerms, containing, naming};
use signet::store::events::{self, EventFilter};

use super::with_admin;
use crate::support::Server;

/// `EVENT_ROWS=1000000` is what docs/performance.md speaks of.
fn rows() -> i64 {
    std::env::var("EVENT_ROWS").map_or(150_000, |rows| rows.parse().expect("a number"))
}

const USER: &str = "01000000-0000-7000-8000-000000000007";

/// One event a second until now. Of a thousand, one is about `USER`, and one is of another kind; the oldest is the only one
/// from its address and with its detail.
async fn fill(server: &Server) {
    let db = Database::connect(server.app.config.database().as_str()).await.unwrap();
    let (now, rows) = (server.app.env().now().0, rows());
    let (kind, rare) = (EventKind::SignedIn.name(), EventKind::KeyRotated.name());
    let is_sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let (numbers, id, user, hex) = if is_sqlite {
        (
            format!("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})"),
            format!("unhex(printf('%012x', {now} - n * 1000) || '70008000' || printf('%012x', n))"),
            format!("unhex('{}')", USER.replace('-', "")),
            "printf('%032x', n)",
        )
    } else {
        (
            format!("WITH numbers AS (SELECT generate_series(1, {rows})::bigint AS n)"),
            format!("(lpad(to_hex({now} - n * 1000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid"),
            format!("'{USER}'::uuid"),
            "lpad(to_hex(n), 32, '0')",
        )
    };
    let sql = format!(
        "INSERT INTO event (id, at, kind, actor, user_id, client_id, address, user_agent, request_id, detail) \
         {numbers} SELECT {id}, {now} - n * 1000, CASE WHEN n % 1000 = 3 THEN '{rare}' ELSE '{kind}' END, 'anonymous', \
         CASE WHEN n % 1000 = 7 THEN {user} END, CASE WHEN n % 1000 = 9 THEN 'web' END, \
         CASE WHEN n = {rows} THEN '203.0.113.9' ELSE '10.0.0.1' END, '', {hex}, \
         CASE WHEN n = {rows} THEN 'a needle' ELSE 'hay' END FROM numbers"
    );
    // Both engines take the common table in front of the whole statement.
    let sql = format!("{numbers} {}", sql.replacen(&numbers, "", 1));
    db.execute_unprepared(&sql).await.unwrap();
    db.execute_unprepared("ANALYZE").await.unwrap();
}

/// The shortest of a few tries: what else the machine does only makes it longer.
async fn fast<T, F: Future<Output = T>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let mut shortest = Duration::MAX;
    let mut answer = None;
    for _ in 0..5 {
        #[expect(clippy::disallowed_methods, reason = "a duration is only measured")]
        let began = Instant::now();
        answer = Some(ask().await);
        shortest = shortest.min(began.elapsed());
    }
    // Free text and the overview read thousands of rows.
    let limit = Duration::from_millis(if ["text", "overview"].contains(&what) { 100 } else { 50 });
    assert!(shortest < limit, "{what} took {shortest:?}");
    answer.unwrap()
}

#[tokio::test]
async fn every_exact_search_is_fast_among_many_events() {
    let (server, _admin) = with_admin().await;
    fill(&server).await;
    let (conn, most) = (server.app.store().read(), 51);
    let all = EventFilter { most, ..EventFilter::default() };
    let of_kind = EventFilter { kinds: vec![EventKind::KeyRotated], ..all.clone() };
    let refusals = EventFilter { kinds: EventKind::FAILURES.to_vec(), ..all.clone() };
    let user: UserId = USER.parse().unwrap();
    let of_user = EventFilter { user: Some(user), ..all.clone() };
    let of_client = EventFilter { client: Some(ClientId::parse("web").unwrap()), ..all.clone() };
    let enough = usize::try_from(rows() / 1000).unwrap().min(51);
    for (what, filter, found) in
        [("newest", &all, 51), ("kind", &of_kind, enough), ("user", &of_user, enough), ("client", &of_client, enough)]
    {
        assert_eq!(fast(what, || events::list(conn, filter)).await.unwrap().len(), found, "{what}");
    }
    fast("refusals", || events::list(conn, &refusals)).await.unwrap();
    let text = |text: &str| SearchTerms { text: text.to_owned(), ..SearchTerms::default() };
    let request = format!("{:032x}", rows());
    let by_request = text(&request);
    let oldest = fast("request", || naming(conn, &all, &by_request)).await.unwrap();
    let id = oldest[0].id.to_string();
    for (what, named) in [
        ("event id", text(&id)),
        ("address", text("203.0.113.9")),
        ("nothing", text("198.51.100.1")),
        (
            "user and clients",
            SearchTerms { user: Some(user), clients: vec![ClientId::parse("web").unwrap()], ..text("x") },
        ),
    ] {
        let found = fast(what, || naming(conn, &all, &named)).await.unwrap();
        let ids: Vec<String> = found.iter().map(|event| event.id.to_string()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{what}: the newest first, each once");
        assert_eq!(ids.contains(&id), ["event id", "address"].contains(&what), "{what}");
    }
    // A kind beside what has no index with it: no event of the kind is read that the text does not name.
    let signed_in = EventFilter { kinds: vec![EventKind::SignedIn], ..all.clone() };
    for (what, named) in [("request of a kind", by_request), ("nothing of a kind", text("198.51.100.1"))] {
        let found = fast(what, || naming(conn, &signed_in, &named)).await.unwrap();
        assert_eq!(found.len(), usize::from(what.starts_with("request")), "{what}");
    }
    ranges_are_fast(&server, &all, user).await;
    // Free text goes through the events in steps that take no longer.
    let (mut before, mut steps) = (None, 1);
    let needle = loop {
        let filter = EventFilter { before, ..all.clone() };
        let scanned = fast("text", || containing(conn, &filter, "needle")).await.unwrap();
        if !scanned.events.is_empty() {
            break scanned.events;
        }
        (before, steps) = (scanned.until, steps + 1);
        assert!(before.is_some(), "not found");
    };
    assert_eq!((needle.len(), needle[0].id.to_string()), (1, id));
    assert!(steps > rows().unsigned_abs() / MAX_SCANNED, "{steps} steps");
    let today = server.app.env().now().seconds().div_euclid(86_400);
    let days =
        || server.app.store().events_per_day(&[EventKind::SignedIn, EventKind::SignInFailed], today - 13..=today);
    let counted = fast("overview", days).await.unwrap();
    let seconds_of_a_day = 86_400;
    let yesterday = counted[&(today - 1, EventKind::SignedIn.name())];
    assert!((seconds_of_a_day - 200..=seconds_of_a_day).contains(&yesterday) || rows() < 172_800, "{yesterday}");
}

/// The same in a range of time far back, for which the newer events are passed over.
async fn ranges_are_fast(server: &Server, all: &EventFilter, user: UserId) {
    let conn = server.app.store().read();
    let end = server.app.env().now().plus_seconds(-(rows() - 50_000));
    let range = EventFilter { since: Some(end.plus_seconds(-10_000)), until: Some(end), ..all.clone() };
    let of_kind = EventFilter { kinds: vec![EventKind::KeyRotated], ..range.clone() };
    let of_user = EventFilter { user: Some(user), ..range.clone() };
    let within = |what: &str, found: &[Event], number: usize| {
        assert_eq!(found.len(), number, "{what}");
        let is_inside = |event: &Event| Some(event.at) >= range.since && Some(event.at) < range.until;
        assert!(found.iter().all(is_inside), "{what}");
    };
    for (what, filter, number) in [("newest", &range, 51), ("kind", &of_kind, 10), ("user", &of_user, 10)] {
        within(what, &fast(what, || events::list(conn, filter)).await.unwrap(), number);
    }
    let named = SearchTerms { user: Some(user), ..SearchTerms::default() };
    within("named", &fast("named", || naming(conn, &range, &named)).await.unwrap(), 10);
    let of_oldest = SearchTerms { text: "203.0.113.9".to_owned(), ..SearchTerms::default() };
    within("outside", &fast("outside", || naming(conn, &range, &of_oldest)).await.unwrap(), 0);
    let text = fast("text", || containing(conn, &range, "needle")).await.unwrap();
    assert!(text.events.is_empty() && text.until.is_none(), "the range has fewer events than one step");
    // A page in the range: of both ends the cursor is the nearer one.
    let first = events::list(conn, &range).await.unwrap();
    let page = EventFilter { before: first.last().map(|last| last.id), ..range.clone() };
    let second = fast("page", || events::list(conn, &page)).await.unwrap();
    within("page", &second, 51);
    assert!(second[0].id.0 < first[50].id.0);
}

/// The day of a time in UTC, as a date field sends it.
fn day(at: Timestamp) -> String {
    let date = at.date().date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

#[tokio::test]
async fn events_are_found_by_their_time() {
    let (server, admin) = with_admin().await;
    let create =
        async |name: &str| groups::create(&server.app.manager(), &AuditContext::command_line(), name).await.unwrap();
    let old = server.app.env().now();
    for number in 0..60 {
        create(&format!("old-{number}")).await;
    }
    server.advance(10 * 86_400);
    create("new").await;
    admin.sign_in_as("alice").await;
    let (old, today) = (day(old), day(server.app.env().now()));
    let next = day(server.app.env().now().plus_seconds(86_400));
    for (query, rows) in [
        ("kind=group.created".to_owned(), 50),
        ("kind=group.created&days=1".to_owned(), 1),
        ("kind=group.created&days=30".to_owned(), 50),
        (format!("kind=group.created&from={today}"), 1),
        (format!("kind=group.created&from={next}"), 0),
        (format!("from={old}&until={old}"), 50),
        (format!("kind=group.created&from={old}&until={old}&days=1"), 0),
        // What is named exactly is found in the range alone: two sign-ins are her events.
        ("q=alice".to_owned(), 2),
        ("q=alice&days=1".to_owned(), 1),
        (format!("q=alice&until={old}"), 1),
        // A range is looked through for text, too, instead of the last 7 days.
        ("q=ld-5".to_owned(), 0),
        (format!("q=ld-5&until={old}"), 11),
        (format!("q=ld-5&from={today}"), 0),
    ] {
        let page = admin.page(&format!("/admin/events?{query}")).await;
        assert_eq!((page.status, page.count("tbody > tr")), (200, rows), "{query}");
        assert!(page.has("select[name=days]") && page.has("input[type=date][name=from]"), "{query}");
    }
    let first = admin.page(&format!("/admin/events?kind=group.created&from={old}&until={old}")).await;
    assert_eq!((first.value("[name=from]"), first.value("[name=until]")), (old.clone(), old.clone()));
    let older = first.attribute("a[rel=next]", "href").unwrap();
    assert!(older.contains(&format!("from={old}&until={old}&after=")), "{older}");
    assert_eq!(admin.page(&older).await.count("tbody > tr"), 10);
    for bad in ["days=2", "from=yesterday", "from=2027-02-30", "until=31.1.2027", "until=2027-01-31T00:00:00Z"] {
        assert_eq!(admin.page(&format!("/admin/events?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_search_for_text_goes_back_as_far_as_is_asked() {
    let (server, admin) = with_admin().await;
    groups::create(&server.app.manager(), &AuditContext::command_line(), "an-old-name").await.unwrap();
    server.advance(8 * 86_400);
    admin.sign_in_as("alice").await;
    for (query, rows) in [("q=old-na", 0), ("q=old-na&days=1", 0), ("q=old-na&days=30", 1), ("q=old-na&days=all", 1)] {
        let page = admin.page(&format!("/admin/events?{query}")).await;
        assert_eq!(page.count("tbody > tr"), rows, "{query}");
        assert!(page.has("select[name=days]"), "{query}");
    }
    let page = admin.page("/admin/events?q=old-na").await;
    assert!(page.html.contains("Choose a longer time"));
    assert_eq!(admin.page("/admin/events?q=alice").await.count("tbody > tr"), 2, "a name is looked for in all");
    assert_eq!(admin.page("/admin/events?q=x&days=2").await.status, 400);
}
