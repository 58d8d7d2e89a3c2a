//! Devices (RFC 8628): they ask, a user types the code in the browser and approves, they poll.

use super::registered::APP_IDS;
use super::requests::DEVICE;
use super::{Answer, Device, Expect, NODES, Request, World, agree, newest, remember};

impl World {
    pub(super) async fn request_device(&mut self, node: usize, request: Request, approver: Option<usize>) {
        if request.api {
            // By an API that has been deleted, a node that has not heard of it hands out codes that nobody can approve.
            self.catch_up(node).await;
        }
        let credentials = self.credentials(request.app);
        let answer = self.post(node, "/oauth2/device_authorization", credentials, &Self::asks_for(request)).await;
        agree(self.model.expect_request(request), answer.status == 200, "a device authorization");
        if answer.status == 200 {
            let waiting = self.model.wait_for_user(request);
            let (secret, user_code) = (answer.text("device_code"), answer.text("user_code"));
            remember(&mut self.devices, Device { secret, user_code, waiting, access: None, spent: false });
            if let Some(user) = approver {
                self.approve_device((node + 1) % NODES, user, 0).await;
            }
        }
    }

    pub(super) async fn approve_device(&mut self, node: usize, user: usize, index: usize) {
        let Some(at) = newest(&self.devices, index).filter(|at| self.devices[*at].access.is_none()) else { return };
        let browser = self.browsers[user].at(&self.nodes[node]);
        let page = browser.page("/device").await;
        let shown = browser.submit(&page, &[("user_code", &self.devices[at].user_code)]).await;
        assert!(shown.as_ref().is_ok_and(|page| page.status != 429), "too many codes were typed");
        let mut arrival = self.arrive(&browser, user, shown).await;
        if let Ok(page) = &arrival.at
            && page.has("#device-code")
        {
            arrival.at = browser.submit(page, &[("decision", "allow")]).await;
        }
        let approved = arrival.at.as_ref().is_ok_and(|page| page.has("#device-allowed"));
        let expected = self.model.expect_approval(&self.devices[at], user);
        let request = self.devices[at].waiting.request;
        let expected = if request.api { self.unless_behind(node, expected) } else { expected };
        agree(expected, approved, &format!("an approval of a device ({}: {})", APP_IDS[request.app], arrival.shown()));
        if approved {
            let session = self.use_session(user, &arrival, "an approval of a device");
            match self.model.left_of(request) {
                Some(left) => self.devices[at].access = Some(self.model.authorize(user, session, left)),
                None => drop(self.devices.remove(at)),
            }
        }
    }

    pub(super) async fn poll_with(&self, node: usize, app: usize, code: &str) -> Answer {
        self.token(node, app, &[("grant_type", DEVICE), ("device_code", code)]).await
    }

    pub(super) async fn poll(&mut self, node: usize, index: usize) {
        // The newest ones: the others have expired.
        let unspent = (0..self.devices.len()).rev().filter(|at| !self.devices[*at].spent);
        let Some(at) = unspent.take(index % 2 + 1).last() else { return };
        let device = &self.devices[at];
        let answer = self.poll_with(node, device.waiting.request.app, &device.secret).await;
        let expected = self.model.expect_poll(device);
        let expected = device.access.map_or(expected, |access| self.unless_api_unknown(node, &access, expected));
        agree(expected, answer.status == 200, &format!("a device code ({})", answer.body["error"]));
        self.compare_offline(device.access.as_ref(), &answer);
        self.after_poll(at, &answer);
    }

    pub(super) fn after_poll(&mut self, at: usize, answer: &Answer) {
        let Some(access) = self.devices[at].access else { return };
        // A client that was refused itself has used up nothing.
        self.devices[at].spent |= answer.status != 401;
        if answer.status == 200 {
            self.remember_redeemed(access, answer);
        }
    }

    /// A device code that comes again ends what was issued for it, as a code does.
    pub(super) async fn replay_device(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.devices, index).filter(|at| self.devices[*at].spent) else { return };
        let device = &self.devices[at];
        let Some(access) = device.access else { return };
        if !self.model.app_enabled(access.app) || self.model.device_goes_on(device) != Expect::Accepted {
            return;
        }
        let answer = self.poll_with(node, access.app, &device.secret).await;
        agree(Expect::Refused, answer.status == 200, "a device code that comes again");
        self.revoke_grant(&access);
    }
}
