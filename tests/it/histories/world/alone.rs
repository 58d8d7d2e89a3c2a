//! Clients that ask for tokens of their own: by their secret (RFC 6749 §4.4), or by it and an assertion of an issuer that
//! vouches for them (RFC 7523).

use serde_json::json;

use super::registered::{APP_IDS, issuer};
use super::requests::{CLIENT_CREDENTIALS, JWT_BEARER};
use super::{Expect, World, agree};
use crate::histories::action::{Part, Proof};

impl World {
    pub(super) async fn act_alone(&mut self, node: usize, app: usize, proof: Proof) {
        let (id, current) = self.credentials(app);
        let (mut secret, mut assertion) = (current, None);
        match proof {
            Proof::Secret => {}
            Proof::OldSecret => {
                let Some(old) = self.secrets[app].iter().rev().nth(1) else { return };
                secret = old;
            }
            Proof::Assertion => assertion = Some(self.assertion(app, self.issuers.replaced[app])),
            Proof::OldIssuer => {
                let Some(old) = self.issuers.replaced[app].checked_sub(1) else { return };
                assertion = Some(self.assertion(app, old));
            }
            Proof::RepeatedAssertion => {
                assertion.clone_from(&self.issuers.used[app]);
                if assertion.is_none() {
                    return;
                }
            }
        }
        let mut form = vec![("scope", "read")];
        match &assertion {
            Some(assertion) => form.extend([("grant_type", JWT_BEARER), ("assertion", assertion)]),
            None => form.push(("grant_type", CLIENT_CREDENTIALS)),
        }
        let answer = self.post(node, "/oauth2/token", (id, secret), &form).await;
        let authentic = self.model.app_enabled(app) && secret == current;
        assert_eq!(answer.body["error"] != "invalid_client", authentic, "client authentication: {}", answer.body);
        let good = authentic && !matches!(proof, Proof::OldIssuer | Proof::RepeatedAssertion);
        let good = good && self.model.settings().has(app, Part::ApiScope);
        let expected = if good { Expect::Accepted } else { Expect::Refused };
        let what = format!("a client by itself ({proof:?}: {})", answer.body["error"]);
        agree(self.unless_behind(node, expected), answer.status == 200, &what);
        if answer.status == 200 {
            self.issuers.used[app] = assertion.or(self.issuers.used[app].take());
            let access = self.model.act_alone(app);
            self.remember_token(access, answer.text("access_token"));
        }
    }

    fn assertion(&self, app: usize, replaced: usize) -> String {
        let env = self.nodes[0].app.env();
        self.issuers.key.sign(&json!({
            "iss": issuer(replaced), "sub": APP_IDS[app], "aud": self.nodes[0].app.config.issuer.as_str(),
            "exp": env.now().seconds() + 3_600, "jti": env.uuid().to_string(),
        }))
    }
}
