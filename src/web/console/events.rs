//! `/admin/events`: the audit record, newest first, searched by person, app, address or request.

use axum::extract::RawQuery;
use axum::response::Response;

use super::listing::{Asked, READ};
use super::views::events::EventsPage;
use super::{event_rows, refusals};
use crate::domain::event::{Event, EventKind};
use crate::store::events::{self, Filter, Named};
use crate::store::{Store, StoreError, clients, people};
use crate::web::error::{PageError, render};
use crate::web::extract::Admin;
use crate::web::view::Chrome;

const HERE: &str = "/admin/events";

pub async fn list(Admin(person): Admin, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let asked = Asked::parse(&person, HERE, query)?;
    let (q, store) = (asked.q(), person.app().store());
    let filter = Filter {
        kinds: asked.filter("kind", EventKind::parse)?.into_iter().collect(),
        named: named(store, &q).await.map_err(|error| person.error(error))?,
        text: q,
        before: asked.after()?,
        most: READ,
        ..Filter::default()
    };
    let mut found = events::list(store.read(), &filter).await.map_err(|error| person.error(error))?;
    let pager = asked.page(&mut found, |event: &Event| event.id);
    Ok(render(&EventsPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        kinds: asked.choices("kind", "Everything", EventKind::ALL.iter().map(|kind| (kind.name(), kind.words()))),
        refusal: refusals::page_of_request(person.app(), &filter.text).await.map_err(|error| person.error(error))?,
        q: filter.text,
        filtered: asked.is_filtered(),
        events: event_rows::of(store, found).await.map_err(|error| person.error(error))?,
        pager,
    }))
}

/// Whom and what a search names: a username or address, an app's name, or the id of somebody who may be deleted by now.
async fn named(store: &Store, q: &str) -> Result<Named, StoreError> {
    if q.is_empty() {
        return Ok(Named::default());
    }
    let user = match q.parse() {
        Ok(id) => Some(id),
        Err(_) => people::by_login(store.read(), q).await?.map(|user| user.id),
    };
    Ok(Named { user, clients: clients::by_name(store.read(), q).await? })
}
