//! Machines whose clocks are wrong (PostgreSQL): nodes agree on the time of the database.

use serde_json::Value;
use time::OffsetDateTime;

use super::{http, postgres, status, token, with_client};
use crate::support::SECRET;
use crate::support::program::{Program, within};
use crate::token::claims;

/// Both nodes are behind one issuer.
fn at(node: &Program) -> String {
    format!("http://{}", node.address)
}

async fn is_active(node: &Program, token: &str) -> bool {
    let request = http().post(format!("{}/oauth2/introspect", at(node))).basic_auth("web", Some(SECRET));
    let answer = request.form(&[("token", token)]).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["active"] == true
}

/// Ten minutes apart, each token is good on both nodes, and says the right time to APIs that verify it by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tokens_of_nodes_with_wrong_clocks_are_good_everywhere() {
    if !postgres() {
        return;
    }
    let slow = with_client().await;
    let mut fast = slow.neighbour();
    fast.set("SIGNET_ISSUER", &slow.url());
    let running = [slow.serve_skewed(-300), fast.serve_skewed(300)];
    for node in [&slow, &fast] {
        within(5, || async { status(&http(), format!("{}/readyz", at(node))).await == 200 }).await;
    }
    for issuer in [&slow, &fast] {
        let (code, issued) = token(&http(), &at(issuer)).await;
        assert_eq!(code, 200, "{issued}");
        let issued = issued["access_token"].as_str().unwrap();
        for node in [&slow, &fast] {
            assert!(is_active(node, issued).await);
        }
        #[expect(clippy::disallowed_methods, reason = "the programs run by the machine's clock")]
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let said = claims(issued);
        assert!((now - 10..=now + 1).contains(&said["iat"].as_i64().unwrap()), "{said} at {now}");
    }
    for node in running {
        assert!(node.log().contains("this machine's clock differs from the database's"), "{}", node.log());
    }
}
