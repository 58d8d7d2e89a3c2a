//! What administrators have taken from the apps and from the API, and not given back. Nothing of it is a version: what was
//! granted before is narrowed as it is used, and is whole again once everything has been given back.

use crate::histories::action::{APPS, Change, PARTS, Part};

#[derive(Clone, Copy)]
pub struct Settings {
    taken: [[bool; PARTS]; APPS],
    api_has_scope: bool,
}

impl Settings {
    pub const fn whole() -> Self {
        Self { taken: [[false; PARTS]; APPS], api_has_scope: true }
    }

    pub const fn has(&self, app: usize, part: Part) -> bool {
        !self.taken[app][part as usize]
    }

    pub const fn api_has_scope(&self) -> bool {
        self.api_has_scope
    }

    /// Whether the change would leave everything as it is. An app cannot have a scope that its API has not.
    pub const fn is_idle(&self, change: Change) -> bool {
        match change {
            Change::Take(app, part) => !self.has(app, part),
            Change::Give(app, Part::ApiScope) => self.has(app, Part::ApiScope) || !self.api_has_scope,
            Change::Give(app, part) => self.has(app, part),
            Change::TakeApiScope => !self.api_has_scope,
            Change::GiveApiScope => self.api_has_scope,
            _ => false,
        }
    }

    pub fn after(mut self, change: Change) -> Self {
        match change {
            Change::Take(app, part) => self.taken[app][part as usize] = true,
            Change::Give(app, part) => self.taken[app][part as usize] = false,
            // The apps lose it too, and do not get it back with the API.
            Change::TakeApiScope => self.set_api_scope(false, false),
            Change::GiveApiScope => self.api_has_scope = true,
            Change::RecreateApi => self.set_api_scope(true, true),
            Change::RecreateClient(app) => {
                self.taken[app] = [false; PARTS];
                self.taken[app][Part::ApiScope as usize] = !self.api_has_scope;
            }
            _ => {}
        }
        self
    }

    fn set_api_scope(&mut self, api_has: bool, apps_have: bool) {
        self.api_has_scope = api_has;
        for taken in &mut self.taken {
            taken[Part::ApiScope as usize] = !apps_have;
        }
    }
}
