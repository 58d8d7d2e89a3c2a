//! Browsers at the app behind the gate: they get a ticket from Signet, redeem it at the app's host for a cookie, and show
//! that at the gate.

use reqwest::Response;
use reqwest::header::{LOCATION, SET_COOKIE};

use super::registered::{GATE, ORIGIN};
use super::{Expect, NODES, World, agree, newest, remember};

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// The cookie that was set, as a browser sends it.
fn cookie(response: &Response) -> Option<String> {
    header(response, SET_COOKIE).and_then(|cookie| cookie.split(';').next().map(ToOwned::to_owned))
}

impl World {
    /// The proxy of the app's host passes on `/.signet/{page}`.
    async fn at_app_host(&self, node: usize, page: &str, parameter: (&str, &str), cookie: &str) -> Response {
        let (scheme, host) = ORIGIN.split_once("://").unwrap();
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs([parameter]).finish();
        let request = self.http.get(format!("{}/gate/session/{GATE}/{page}?{query}", self.nodes[node].url));
        let request = request.header("x-forwarded-proto", scheme).header("x-forwarded-host", host);
        let response = request.header("cookie", cookie).send().await.unwrap();
        assert!(response.status().as_u16() < 500, "{}", response.status());
        response
    }

    pub(super) async fn enter_app(&mut self, node: usize, user: usize) {
        let begun = self.at_app_host(node, "sign-in", ("rd", "/orders/1"), "").await;
        let (state, to) = (cookie(&begun), header(&begun, LOCATION));
        agree(self.unless_behind(node, Expect::Accepted), to.is_some(), "the way to a session at the gate");
        let (Some(state), Some(to)) = (state, to) else { return };
        let path = to.strip_prefix(self.nodes[node].app.config.issuer.as_str()).expect("an address at the issuer");
        let browser = self.browsers[user].at(&self.nodes[node]);
        let shown = browser.open(path).await;
        let arrival = self.arrive(&browser, user, shown).await;
        let ticket = arrival.parameter("ticket");
        let expected = if self.model.user_enabled(user) { Expect::Accepted } else { Expect::Refused };
        let what = format!("a ticket ({})", arrival.shown());
        agree(self.unless_behind(node, expected), ticket.is_some(), &what);
        let Some(ticket) = ticket else { return };
        let session = self.use_session(user, &arrival, "a ticket");
        remember(&mut self.visits, self.model.visit(user, session, ticket, state));
    }

    /// The cookie, if the ticket is good.
    pub(super) async fn redeem_ticket_at(&self, node: usize, at: usize) -> Option<String> {
        let visit = &self.visits[at];
        let response = self.at_app_host(node, "callback", ("ticket", &visit.ticket), &visit.state).await;
        if response.status() == 303 { cookie(&response) } else { None }
    }

    pub(super) async fn redeem_ticket(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.visits, index) else { return };
        let cookie = self.redeem_ticket_at(node, at).await;
        let expected = self.unless_behind(node, self.model.expect_ticket(&self.visits[at]));
        agree(expected, cookie.is_some(), "a ticket");
        self.after_ticket(at, cookie);
        self.show_cookie((node + 1) % NODES, index).await;
    }

    pub(super) fn after_ticket(&mut self, at: usize, cookie: Option<String>) {
        if cookie.is_some() {
            self.visits[at].cookie = cookie;
        }
    }

    pub(super) async fn show_cookie(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.visits, index) else { return };
        let Some(cookie) = self.visits[at].cookie.clone() else { return };
        let expected = self.model.expect_cookie(&self.visits[at]);
        self.at_gate(node, ("cookie", &cookie), expected, "a session at the gate").await;
    }
}
