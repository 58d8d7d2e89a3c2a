//! What accepts: introspection, UserInfo and the gate, on a node that has heard of every change.

use super::registered::{GATE, ORIGIN};
use super::{Expect, NODES, REMEMBERED, World, agree, newest};

impl World {
    pub(super) async fn catch_up(&mut self, node: usize) {
        if self.behind[node] {
            let store = self.nodes[node].app.store();
            store.authority().catch_up(store).await.unwrap();
            self.behind[node] = false;
        }
    }

    async fn introspect(&self, node: usize, client: usize, token: &str) -> bool {
        let answer = self.post(node, "/oauth2/introspect", self.credentials(client), &[("token", token)]).await;
        answer.status == 200 && answer.body["active"] == true
    }

    pub(super) async fn introspect_one(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        self.catch_up(node).await;
        let token = &self.tokens[at];
        let active = self.introspect(node, Self::client_of(token), &token.secret).await;
        agree(self.model.expect_token(token), active, "introspection of an access token");
    }

    pub(super) async fn introspect_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        self.catch_up(node).await;
        let family = &self.families[at];
        let active = self.introspect(node, family.access.app, &family.newest).await;
        agree(self.model.expect_access(&family.access), active, "introspection of a refresh token");
    }

    pub(super) async fn present(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        let token = &self.tokens[at];
        let expected = self.model.expect_token(token);
        let bearer = format!("Bearer {}", token.secret);
        if token.access.is_for_api() {
            self.at_gate(node, ("authorization", &bearer), expected, "a token at the gate").await;
            return;
        }
        let what = format!("UserInfo ({:?}, by exchange: {})", token.access, token.is_by_exchange());
        self.catch_up(node).await;
        let request = self.http.get(format!("{}/oauth2/userinfo", self.nodes[node].url));
        let status = request.header("authorization", bearer).send().await.unwrap().status().as_u16();
        assert!(matches!(status, 200 | 401), "UserInfo: {status}");
        agree(expected, status == 200, &what);
    }

    /// A proxy asks the gate about a request to the API with that header.
    pub(super) async fn at_gate(&mut self, node: usize, (name, value): (&str, &str), expected: Expect, what: &str) {
        self.catch_up(node).await;
        let request = self.http.get(format!("{}/gate/verify/{GATE}", self.nodes[node].url)).header(name, value);
        let request = request.header("x-original-method", "GET");
        let request = request.header("x-original-url", format!("{ORIGIN}/orders/1"));
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let reason = response.headers().get("x-gate-reason").map(|reason| reason.to_str().unwrap()).unwrap_or_default();
        let refusals = [(401, "invalid_credential"), (403, "insufficient_scope")];
        assert!(status == 200 || refusals.contains(&(status, reason)), "{what}: {status} {reason}");
        agree(expected, status == 200, what);
    }

    /// Everything that is remembered and can be shown more than once, at both nodes.
    pub(in crate::histories) async fn compare_everything(&mut self) {
        self.compare(REMEMBERED).await;
    }

    pub(super) async fn compare(&mut self, most: usize) {
        for node in 0..NODES {
            for index in 0..most {
                self.introspect_one(node, index).await;
                self.present(node, index).await;
                self.introspect_refresh(node, index).await;
                self.show_cookie(node, index).await;
                self.show_key(node, index).await;
            }
        }
    }
}
