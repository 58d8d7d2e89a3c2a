//! The consent page: asks the user what a client may access, one line per scope.

use axum::response::{IntoResponse, Redirect, Response};

use super::views::{ConsentPage, ScopeLine};
use super::{
    APP_CHANGED_TITLE, CARRIED_APP, SESSION_CHANGED_NOTICE, carried_app, requesting_app_card, resumed, user_card,
    waiting, waiting_client,
};
use crate::domain::api::{Api, ApiId};
use crate::domain::client::place;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::EventId;
use crate::domain::interaction::{Interaction, InteractionProgress};
use crate::domain::permissions::Permissions;
use crate::domain::user::User;
use crate::domain::version::VersionedEntity;
use crate::protocol::authorize::changed;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::authorizations::{self, RowLock};
use crate::store::{consents, events, interactions, users, versions};
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, PathParam, Visitor};
use crate::web::oauth::authorize::render_outcome;
use crate::web::urls;
use crate::web::view::Chrome;
use crate::web::view::visible;

pub async fn show(visitor: Visitor, PathParam(id): PathParam<String>) -> Result<Response, PageError> {
    match waiting(&visitor, &id, "").await? {
        Ok(waiting) => page(&visitor, &waiting, None).await,
        Err(goes_on) => Ok(goes_on),
    }
}

async fn page(visitor: &Visitor, waiting: &Interaction, notice: Option<&'static str>) -> Result<Response, PageError> {
    let Some(user) = signed_in(visitor).await? else { return Ok(resumed(waiting.id)) };
    let client = waiting_client(visitor, waiting).await?;
    let apis = visitor.app.store().authority().apis(visitor.app.store()).await.map_err(|error| visitor.error(error))?;
    Ok(render(&ConsentPage {
        chrome: Chrome::of(&visitor.app),
        notice,
        csrf: visitor.form_token(),
        carried_app: carried_app(visitor, &client),
        action: urls::consent(waiting.id),
        app: requesting_app_card(&client, waiting),
        user: user_card(&user),
        scopes: lines(&waiting.request.required_consent(), &user, &apis),
        switch_account: urls::select_account(waiting.id),
        redirect_host: place(&waiting.request.reply_to.redirect_uri).unwrap_or_else(|| visible(client.display_name())),
    }))
}

pub async fn submit(PathParam(id): PathParam<String>, form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let waiting = match waiting(visitor, &id, form.text(CARRIED_APP)?).await? {
        Ok(waiting) => waiting,
        // Decided already: a second click leads to the same page as the first.
        Err(goes_on) => return Ok(goes_on),
    };
    let Some(session) = &visitor.session else { return Ok(resumed(waiting.id)) };
    if !form.is_current() {
        return page(visitor, &waiting, Some(SESSION_CHANGED_NOTICE)).await;
    }
    let (user, client) = (session.user, waiting.request.client.clone());
    let event = |kind, detail: String| Event {
        id: EventId(visitor.app.env().uuid()),
        at: visitor.app.env().now(),
        kind,
        actor: Actor::User(user),
        user: Some(user),
        client: Some(client.clone()),
        origin: visitor.origin.clone(),
        detail,
    };
    match form.text("decision")? {
        "allow" => {
            let client_now = waiting_client(visitor, &waiting).await?;
            let reply_to = &waiting.request.reply_to;
            let identified = client_now.redirect_assurances(&reply_to.redirect_uri, waiting.request.response_type);
            let permissions = waiting.request.required_consent();
            let (event, client) = (event(EventKind::ConsentGiven, permissions.to_string()), client.clone());
            let progress = InteractionProgress { consented: Some(user), ..waiting.progress.clone() };
            let (id, request, session) = (waiting.id, waiting.request.clone(), session.id);
            let write = visitor.app.store().write(move |tx| {
                Box::pin(async move {
                    // The lock makes a concurrent sign-out, password reset or client adoption wait, so that it finds
                    // this consent.
                    let of_user = [VersionedEntity::User(user)];
                    let session = Some((session, tx.database_now()));
                    if authorizations::versions(tx.conn(), &of_user, session, RowLock::Shared).await?.is_none() {
                        return Ok(true);
                    }
                    // The request may be for a client that was deleted. A new client with the same id must not get
                    // its consent.
                    versions::lock_client_shared(tx, &client).await?;
                    if !authorizations::is_request_current(tx.conn(), &request).await? {
                        return Ok(false);
                    }
                    // The first of two clicks may have denied the request.
                    if !interactions::record(tx, id, &progress).await? {
                        return Ok(true);
                    }
                    consents::give(tx, user, &client, (&permissions, &request.versions), &identified).await?;
                    events::insert(tx, &event).await.map(|()| true)
                })
            });
            let is_current = write.await.map_err(|error| visitor.error(error))?;
            if is_current {
                Ok(resumed(waiting.id))
            } else {
                Err(visitor.error(changed()).titled(APP_CHANGED_TITLE).about(&client_now))
            }
        }
        "deny" => {
            let event = event(EventKind::ConsentDenied, waiting.request.permissions.to_string());
            let write = visitor.app.store().write(move |tx| Box::pin(async move { events::insert(tx, &event).await }));
            write.await.map_err(|error| visitor.error(error))?;
            let denied = OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it.");
            render_outcome(visitor, visitor.app.provider.end_with_error(&waiting, Some(session), denied).await).await
        }
        _ => Ok(Redirect::to(&urls::consent(waiting.id)).into_response()),
    }
}

pub async fn signed_in(visitor: &Visitor) -> Result<Option<User>, PageError> {
    let Some(session) = &visitor.session else { return Ok(None) };
    let user = users::by_id(visitor.app.store().read(), session.user).await.map_err(|error| visitor.error(error))?;
    Ok(user.filter(|user| !user.disabled))
}

/// Returns one line for each scope, with the name of its API if it has one, and one line for each API without scopes.
pub(super) fn lines(permissions: &Permissions, user: &User, apis: &[Api]) -> Vec<ScopeLine> {
    let mut lines: Vec<ScopeLine> = permissions.general.iter().map(|scope| line(scope, user)).collect();
    for (id, scopes) in permissions.apis.iter() {
        let name = visible(api_name(id, apis));
        if scopes.is_empty() {
            let (scope, title) = (id.as_str().to_owned(), access_to(&name));
            lines.push(ScopeLine { scope, icon: "note", title, detail: format!("It may access {name} for you.") });
        }
        lines.extend(scopes.iter().map(|scope| ScopeLine {
            scope: scope.to_owned(),
            icon: "note",
            title: scope.to_owned(),
            detail: format!("In {name}"),
        }));
    }
    lines
}

fn access_to(name: &str) -> String {
    format!("Access {name}")
}

fn line(scope: &str, user: &User) -> ScopeLine {
    let profile = &user.profile;
    let (icon, detail) = match scope {
        "openid" => ("user", "The same private number each time you sign in.".to_owned()),
        "profile" => ("info", visible(user.display_name())),
        "email" => ("mail", profile.email.as_deref().map(visible).unwrap_or_default()),
        "address" => ("home", String::new()),
        "phone" => ("phone", profile.phone_number.as_deref().map(visible).unwrap_or_default()),
        "groups" => ("users", String::new()),
        "offline_access" => ("clock", "Until you remove it in your account.".to_owned()),
        _ => ("note", String::new()),
    };
    ScopeLine { scope: scope.to_owned(), icon, title: describe_scope(scope), detail }
}

fn api_name<'a>(id: &'a ApiId, apis: &'a [Api]) -> &'a str {
    apis.iter().find(|api| api.identifier == *id).map_or(id.as_str(), Api::display_name)
}

/// Returns a text for each permission. Scopes of an API have no text of their own.
pub fn describe_permissions(permissions: &Permissions, apis: &[Api]) -> Vec<String> {
    let mut words: Vec<String> = permissions.general.iter().map(describe_scope).collect();
    for (id, scopes) in permissions.apis.iter() {
        let name = visible(api_name(id, apis));
        words.extend(scopes.is_empty().then(|| access_to(&name)));
        words.extend(scopes.iter().map(|scope| format!("{scope} in {name}")));
    }
    words
}

fn describe_scope(scope: &str) -> String {
    match scope {
        "openid" => "Know that it’s you",
        "profile" => "See your name and profile",
        "email" => "See your email address",
        "address" => "See your postal address",
        "phone" => "See your phone number",
        "groups" => "See the groups you are in",
        "offline_access" => "Stay connected while you’re away",
        other => other,
    }
    .to_owned()
}
