//! `/account`: the user's profile, credentials and recent activity.

use axum::response::Response;

use super::views::{AccountHome, ActivityLine, Facts, LastSignIn};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::UserId;
use crate::store::events::EventFilter;
use crate::store::{events, passkeys};
use crate::web::device;
use crate::web::error::{PageError, render};
use crate::web::extract::SignedIn;
use crate::web::view::visible;
use crate::web::view::{Chrome, DisplayTime};

const MAX_RECENT_EVENTS: u64 = 8;

pub async fn show(person: SignedIn) -> Result<Response, PageError> {
    let (store, user) = (person.app().store(), &person.user);
    let about = |kinds, most| EventFilter { user: Some(user.id), kinds, most, ..EventFilter::default() };
    let recent =
        events::list(store.read(), &about(Vec::new(), MAX_RECENT_EVENTS)).await.map_err(|error| person.error(error))?;
    // The newest sign-in is the current one.
    let sign_ins = events::list(store.read(), &about(vec![EventKind::SignedIn], 2)).await;
    let before = sign_ins.map_err(|error| person.error(error))?.into_iter().nth(1);
    let passkeys = passkeys::of_user(store.read(), user.id).await.map_err(|error| person.error(error))?;
    Ok(render(&AccountHome {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        facts: Facts {
            name: visible(user.display_name()),
            username: user.username.to_string(),
            email: user.profile.email.clone(),
            email_verified: user.profile.email_verified,
        },
        last_sign_in: before.map(|event| LastSignIn { when: DisplayTime::new(event.at.date()), how: how(&event) }),
        passkey_count: passkeys.len(),
        password_changed: user
            .password_changed_at
            .filter(|at| *at != user.created_at)
            .map(|at| DisplayTime::new(at.date())),
        recent: recent.iter().map(|event| line(event, user.id)).collect(),
    }))
}

fn how(event: &Event) -> &'static str {
    if event.detail == "with a passkey" { "with a passkey" } else { "with a password" }
}

fn line(event: &Event, user: UserId) -> ActivityLine {
    let (icon, tone, title) = match event.kind {
        EventKind::SignedIn if how(event) == "with a passkey" => ("passkey", "", "Signed in with a passkey"),
        EventKind::SignedIn => ("key", "", "Signed in with a password"),
        EventKind::SignInFailed => ("warning", "bad", "A sign-in was refused"),
        EventKind::TokenReused => ("warning", "bad", "A copied key of an app was refused"),
        EventKind::AppEntered => ("app", "", "Signed in to an app"),
        EventKind::SignedOut => ("logout", "", "Signed out"),
        EventKind::SessionEnded => ("device", "", "Signed out of a device"),
        EventKind::PasswordChanged => ("key", "", "Password changed"),
        EventKind::PasskeyAdded => ("passkey", "", "Passkey added"),
        EventKind::PasskeyRemoved => ("passkey", "", "Passkey removed"),
        EventKind::ConsentGiven => ("app", "", "App allowed"),
        EventKind::ConsentDenied => ("app", "", "App not allowed"),
        EventKind::ConsentRevoked => ("app", "", "App removed"),
        kind @ (EventKind::ApiKeyCreated | EventKind::ApiKeyRevoked) => ("key", "", kind.words()),
        EventKind::AccessRefused => ("warning", "bad", "An app is not open to you"),
        EventKind::PasswordRefused => ("warning", "bad", "The current password was wrong"),
        EventKind::UserCreated => ("user", "", "Your account was made"),
        kind => ("user", "", kind.words()),
    };
    let client = event.client.as_ref().map(ToString::to_string);
    let app = (event.kind == EventKind::AppEntered).then(|| event.detail.clone());
    let detail: Vec<String> = [client, app].into_iter().flatten().chain(event_source(event, user)).collect();
    ActivityLine {
        icon,
        tone,
        title: title.to_owned(),
        detail: visible(&detail.join(" · ")),
        when: DisplayTime::new(event.at.date()),
    }
}

/// Returns where an event came from, as far as the user may know it. Browser and address are shown for the
/// user's own actions and for failed sign-ins to the account. For an administrator's action, only that fact
/// is shown.
fn event_source(event: &Event, user: UserId) -> Vec<String> {
    let is_shown = match &event.actor {
        Actor::User(actor) if *actor == user => true,
        Actor::User(_) | Actor::CommandLine => return vec!["by an administrator".to_owned()],
        Actor::Anonymous => event.kind == EventKind::SignInFailed,
        Actor::System | Actor::Client(_) => false,
    };
    let browser = Some(&event.origin.user_agent).filter(|agent| !agent.is_empty()).map(|agent| device::describe(agent));
    let address = Some(event.origin.address.clone()).filter(|address| !address.is_empty());
    [browser, address].into_iter().flatten().filter(|_| is_shown).collect()
}
