//! A race of administration with what issues.

use futures::future::join_all;

use super::{Expect, NODES, RACERS, World, agree};
use crate::histories::action::{Change, Part};

/// The places of the newest that may take part.
fn racers<T>(all: &[T], may: impl Fn(&T) -> bool) -> Vec<usize> {
    (0..all.len()).rev().filter(|at| may(&all[*at])).take(RACERS).collect()
}

/// What each of those places is expected to come to.
fn expected<T>(all: &[T], places: &[usize], of: impl Fn(&T) -> Expect) -> Vec<Expect> {
    places.iter().map(|at| of(&all[*at])).collect()
}

impl World {
    /// Whatever is handed out while a change is made is dead afterwards where the change ends it, and good otherwise.
    pub(super) async fn race(&mut self, node: usize, change: Change) {
        if self.is_idle(change) {
            return;
        }
        // The refusal of one whose redirect URI is not back yet may be any other refusal, or that of a stolen code.
        let gives_redirect_uri = matches!(change, Change::Give(_, Part::RedirectUri));
        let codes = racers(&self.codes, |code| !code.spent && !gives_redirect_uri);
        let devices = racers(&self.devices, |device| !device.spent && device.access.is_some());
        let families = racers(&self.families, |_| true);
        let visits = racers(&self.visits, |visit| visit.cookie.is_none());
        let for_api = families.iter().any(|at| self.families[*at].access.is_for_api())
            || codes.iter().any(|at| self.codes[*at].access.is_for_api())
            || devices.iter().any(|at| self.devices[*at].waiting.request.api)
            || !visits.is_empty();
        for node in (0..NODES).filter(|_| for_api) {
            self.catch_up(node).await;
        }
        let expectations = |world: &Self| {
            let model = &world.model;
            [
                expected(&world.families, &families, |family| model.expect_access(&family.access)),
                expected(&world.codes, &codes, |code| model.expect_code(code)),
                expected(&world.devices, &devices, |device| model.expect_poll(device)),
                expected(&world.visits, &visits, |visit| model.expect_ticket(visit)),
            ]
        };
        let before = expectations(self);
        let this = &*self;
        let redeeming = join_all(codes.iter().enumerate().map(|(turn, at)| {
            let code = &this.codes[*at];
            this.redeem_code(turn % NODES, code.access.app, &code.secret)
        }));
        let polling = join_all(devices.iter().enumerate().map(|(turn, at)| {
            let device = &this.devices[*at];
            this.poll_with(turn % NODES, device.waiting.request.app, &device.secret)
        }));
        let refreshing = join_all(families.iter().enumerate().map(|(turn, at)| {
            let family = &this.families[*at];
            this.refresh_with(turn % NODES, family.access.app, &family.newest)
        }));
        let entering = join_all(visits.iter().enumerate().map(|(turn, at)| this.redeem_ticket_at(turn % NODES, *at)));
        let (changed, redeemed, polled, refreshed, entered) =
            tokio::join!(this.change(node, change), redeeming, polling, refreshing, entering);
        self.after_change(change, changed);
        let after = expectations(self);
        let [of_families, of_codes, of_devices, of_visits] = std::array::from_fn(|kind| {
            let pairs = before[kind].iter().zip(&after[kind]);
            // Right as before the change or as after it.
            pairs.map(|(before, after)| if before == after { *before } else { Expect::Either }).collect::<Vec<_>>()
        });
        // The families first: each redemption adds one, and with that may forget the oldest, by which all places change.
        for ((at, expected), answer) in families.into_iter().zip(of_families).zip(refreshed) {
            agree(expected, answer.status == 200, "a refresh token in a race");
            self.after_refresh(at, &answer);
        }
        for ((at, expected), answer) in codes.into_iter().zip(of_codes).zip(redeemed) {
            agree(expected, answer.status == 200, "a code in a race");
            self.after_code(at, &answer);
        }
        for ((at, expected), answer) in devices.into_iter().zip(of_devices).zip(polled) {
            agree(expected, answer.status == 200, "a device code in a race");
            self.after_poll(at, &answer);
        }
        for ((at, expected), cookie) in visits.into_iter().zip(of_visits).zip(entered) {
            agree(expected, cookie.is_some(), "a ticket in a race");
            self.after_ticket(at, cookie);
        }
    }
}
