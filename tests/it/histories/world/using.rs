//! What accepts: introspection and UserInfo, on a node that has heard of every change.

use super::{NODES, REMEMBERED, World, agree, newest};

impl World {
    pub(super) async fn catch_up(&mut self, node: usize) {
        if self.behind[node] {
            let store = self.nodes[node].app.store();
            store.authority().catch_up(store).await.unwrap();
            self.behind[node] = false;
        }
    }

    pub(super) async fn introspect(&self, node: usize, client: usize, token: &str) -> bool {
        let answer = self.post(node, "/oauth2/introspect", self.credentials(client), &[("token", token)]).await;
        answer.status == 200 && answer.body["active"] == true
    }

    pub(super) async fn introspect_one(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        self.catch_up(node).await;
        let token = &self.tokens[at];
        let active = self.introspect(node, Self::client_of(token), &token.secret).await;
        agree(self.model.token(token), active, "introspection of an access token");
    }

    pub(super) async fn introspect_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        self.catch_up(node).await;
        let family = &self.families[at];
        let active = self.introspect(node, family.access.app, &family.newest).await;
        agree(self.model.access(&family.access), active, "introspection of a refresh token");
    }

    pub(super) async fn userinfo_one(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        self.catch_up(node).await;
        let token = &self.tokens[at];
        let browser = self.browsers[0].at(&self.nodes[node]);
        let request = browser.request(reqwest::Method::GET, "/oauth2/userinfo").bearer_auth(&token.secret);
        let status = request.send().await.unwrap().status().as_u16();
        assert!(status < 500, "UserInfo: {status}");
        agree(self.model.token(token), status == 200, "UserInfo");
    }

    /// Every access token and refresh token that is remembered, at both nodes.
    pub(in crate::histories) async fn compare_everything(&mut self) {
        self.compare(REMEMBERED).await;
    }

    pub(super) async fn compare(&mut self, most: usize) {
        for node in 0..NODES {
            for index in 0..most {
                self.introspect_one(node, index).await;
                self.userinfo_one(node, index).await;
                self.introspect_refresh(node, index).await;
            }
        }
    }
}
