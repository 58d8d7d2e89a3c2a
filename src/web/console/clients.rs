//! `/admin/clients`: the table of clients.

use axum::extract::RawQuery;
use axum::response::Response;

use super::listing::{FETCH_LIMIT, ListParams};
use super::views::clients::{ClientListRow, ClientsPage, Kind};
use crate::domain::client::Client;
use crate::store::clients::{self, ClientFilter};
use crate::web::error::{PageError, render};
use crate::web::extract::Admin;
use crate::web::pages::app_card;
use crate::web::urls;
use crate::web::view::{Chrome, DisplayTime};

const PATH: &str = "/admin/clients";
/// The options of the filter `state`: value, label, and whether the clients are disabled.
const STATES: [(&str, &str, bool); 2] = [("on", "On", false), ("off", "Off", true)];

pub async fn list(Admin(person): Admin, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let asked = ListParams::parse(&person, PATH, query)?;
    let state = |text: &str| STATES.into_iter().find(|(value, ..)| *value == text).map(|(.., disabled)| disabled);
    let filter = ClientFilter {
        text: asked.q(),
        kind: asked.filter("kind", Kind::parse)?,
        disabled: asked.filter("state", state)?,
        after: asked.after()?,
        most: FETCH_LIMIT,
    };
    let mut found = clients::list(person.app().store().read(), &filter).await.map_err(|error| person.error(error))?;
    let pager = asked.page(&mut found, |client| (client.display_name().to_owned(), client.id.clone()));
    Ok(render(&ClientsPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        q: filter.text,
        kinds: asked.choices("kind", "Every kind", Kind::ALL.map(|kind| (kind.as_str(), kind.label()))),
        states: asked.choices("state", "On and off", STATES.map(|(value, label, _)| (value, label))),
        filtered: asked.is_filtered(),
        clients: found.iter().map(row).collect(),
        pager,
    }))
}

fn row(client: &Client) -> ClientListRow {
    ClientListRow {
        client_id: client.id.to_string(),
        href: urls::console_client(&client.id),
        app: app_card(client),
        kind: client.kind(),
        made: DisplayTime::new(client.created_at.date()),
        on: !client.disabled,
        has_short_secret: client.has_short_secret(),
    }
}
