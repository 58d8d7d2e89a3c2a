//! The object that a form edits, and its recent changes according to the audit events.

use super::{FormField, LastChange};
use crate::domain::event::EventKind;
use crate::domain::ids::{ApiId, ClientId, PasskeyId, UserId};
use crate::store::StoreError;
use crate::store::events::{self, EventFilter};
use crate::web::console::event_rows;
use crate::web::console::views::events::EventRow;
use crate::web::error::PageError;
use crate::web::extract::SignedIn;

/// The number of most recent change events that are searched for a field's last change.
const MAX_CHANGES: u64 = 50;

/// The object that a form edits.
#[derive(Clone, Debug)]
pub enum EditTarget {
    Client(ClientId),
    User(UserId),
    Api(ApiId),
    Passkey(PasskeyId),
}

impl EditTarget {
    /// Returns the name of the object to which the versions of its forms are bound.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Client(id) => format!("client:{id}"),
            Self::User(id) => format!("user:{id}"),
            Self::Api(id) => format!("api:{}", id.as_str()),
            Self::Passkey(id) => format!("passkey:{id}"),
        }
    }

    /// Returns the latest changes of the object, newest first.
    pub(super) async fn changes(&self, person: &SignedIn) -> Result<ChangeHistory, PageError> {
        self.recorded(person).await.map(ChangeHistory).map_err(|error| person.error(error))
    }

    async fn recorded(&self, person: &SignedIn) -> Result<Vec<(String, EventRow)>, StoreError> {
        let of = |kind| EventFilter { kinds: vec![kind], most: MAX_CHANGES, ..EventFilter::default() };
        let filter = match self {
            Self::Client(id) => EventFilter { client: Some(id.clone()), ..of(EventKind::ClientUpdated) },
            Self::User(id) => EventFilter { user: Some(*id), ..of(EventKind::UserUpdated) },
            Self::Api(_) => of(EventKind::ApiUpdated),
            Self::Passkey(_) => return Ok(Vec::new()),
        };
        let store = person.app().store();
        let mut found = events::list(store.read(), &filter).await?;
        if let Self::Api(id) = self {
            // `ApiUpdated` events name the API in their detail, not the changed fields.
            found.retain(|event| event.detail == id.as_str());
        }
        let details: Vec<String> = found.iter().map(|event| event.detail.clone()).collect();
        Ok(details.into_iter().zip(event_rows::of(store, found).await?).collect())
    }
}

/// The changes of one object, newest first: the detail of each event, which names the changed fields, and its
/// row.
pub(super) struct ChangeHistory(Vec<(String, EventRow)>);

impl ChangeHistory {
    pub fn last(&self) -> Option<LastChange> {
        self.0.first().map(|(_, row)| changed(row))
    }

    /// Returns the last change of one field.
    pub fn of(&self, field: &FormField) -> Option<LastChange> {
        self.0.iter().find(|(detail, _)| field.is_named_in(detail)).map(|(_, row)| changed(row))
    }
}

fn changed(row: &EventRow) -> LastChange {
    LastChange { actor: row.actor.as_ref().map(|who| who.name.clone()), at: row.at.clone() }
}
