//! Converts audit events to table rows. The names of users and clients are looked up with one query each for
//! all rows. Deleted users and clients are shown by their id.

use std::collections::{HashMap, HashSet};

use super::views::events::{EventRow, LinkedName};
use crate::domain::client::Client;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::{ClientId, UserId};
use crate::domain::user::User;
use crate::store::{Store, StoreError, clients, users};
use crate::web::device;
use crate::web::urls;
use crate::web::view::DisplayTime;
use crate::web::view::visible;

pub async fn of(store: &Store, events: Vec<Event>) -> Result<Vec<EventRow>, StoreError> {
    let names = DisplayNames::read(store, &events).await?;
    Ok(events.into_iter().map(|event| names.row(event)).collect())
}

struct DisplayNames {
    users: HashMap<UserId, String>,
    clients: HashMap<ClientId, String>,
}

impl DisplayNames {
    async fn read(store: &Store, events: &[Event]) -> Result<Self, StoreError> {
        let (mut users, mut apps) = (HashSet::new(), HashSet::new());
        for event in events {
            users.extend(event.user);
            apps.extend(event.client.clone());
            match &event.actor {
                Actor::User(id) => drop(users.insert(*id)),
                Actor::Client(id) => drop(apps.insert(id.clone())),
                Actor::System | Actor::CommandLine | Actor::Anonymous => {}
            }
        }
        let (users, apps): (Vec<UserId>, Vec<ClientId>) = (users.into_iter().collect(), apps.into_iter().collect());
        let person = |user: User| (user.id, visible(user.display_name()));
        let client = |client: Client| (client.id.clone(), visible(client.display_name()));
        Ok(Self {
            users: users::by_ids(store.read(), &users).await?.into_iter().map(person).collect(),
            clients: clients::by_ids(store.read(), &apps).await?.into_iter().map(client).collect(),
        })
    }

    fn user(&self, id: UserId) -> LinkedName {
        match self.users.get(&id) {
            Some(name) => LinkedName { name: name.clone(), href: Some(urls::console_user(id)) },
            None => LinkedName { name: id.to_string(), href: None },
        }
    }

    fn client(&self, id: &ClientId) -> LinkedName {
        match self.clients.get(id) {
            Some(name) => LinkedName { name: name.clone(), href: Some(urls::console_client(id)) },
            None => LinkedName { name: id.to_string(), href: None },
        }
    }

    fn actor(&self, actor: &Actor) -> Option<LinkedName> {
        match actor {
            Actor::System => Some(LinkedName { name: "Signet".to_owned(), href: None }),
            Actor::CommandLine => Some(LinkedName { name: "Command line".to_owned(), href: None }),
            Actor::User(id) => Some(self.user(*id)),
            Actor::Client(id) => Some(self.client(id)),
            Actor::Anonymous => None,
        }
    }

    fn row(&self, event: Event) -> EventRow {
        let mut details = Vec::new();
        let mut detail = |name: &str, value: String| {
            if !value.is_empty() {
                details.push((name.to_owned(), visible(&value)));
            }
        };
        // The row is about the user only if someone else acted. If the user acted, it is about the client.
        let somebody_else = event.user.filter(|id| event.actor != Actor::User(*id));
        let about = match (somebody_else, &event.client) {
            (Some(user), client) => {
                detail("App", client.as_ref().map(ToString::to_string).unwrap_or_default());
                Some(self.user(user))
            }
            (None, Some(client)) => Some(self.client(client)),
            // For keys, groups and APIs the detail is the name.
            (None, None) if event.user.is_none() && !event.detail.is_empty() => {
                Some(LinkedName { name: visible(&event.detail), href: None })
            }
            (None, None) => None,
        };
        let what = visible(&describe(&event));
        detail("Detail", event.detail);
        if !event.origin.user_agent.is_empty() {
            detail("Browser", device::describe(&event.origin.user_agent));
        }
        let filled = |text: String| Some(visible(&text)).filter(|text| !text.is_empty());
        EventRow {
            id: event.id.to_string(),
            at: DisplayTime::new(event.at.date()),
            what,
            kind: event.kind.name().to_owned(),
            failed: event.kind.is_failure(),
            actor: self.actor(&event.actor),
            about,
            address: filled(event.origin.address),
            request_id: filled(event.origin.request_id),
            details,
        }
    }
}

/// Returns the description of an event. It includes the method or place of a sign-in and the reason of a
/// failure.
fn describe(event: &Event) -> String {
    match (event.kind.words(), event.detail.as_str()) {
        (words, "") => words.to_owned(),
        (words, how) if event.kind == EventKind::SignedIn => format!("{words} {how}"),
        (words, more) if event.kind.is_failure() || event.kind == EventKind::AppEntered => format!("{words}: {more}"),
        (words, _) => words.to_owned(),
    }
}
