//! `/admin/keys`: the server's keys and their states, rotating the keys of an algorithm and withdrawing a
//! key.

use axum::http::StatusCode;
use axum::response::Response;

use super::views::keys::{Algorithm, KeyLife, KeyRow, KeyStateView, KeysPage};
use super::views::{ConfirmPage, Crumb, Section};
use super::{failed, redirect_with_flash, rerender};
use crate::domain::signing_key::{KeyAlg, KeyState as State, StoredKey};
use crate::env::Timestamp;
use crate::keys::rotation;
use crate::manage::keys as manage;
use crate::manage::keys::RotationOutcome;
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls::ENDPOINTS;
use crate::web::view::{Chrome, DisplayTime};

const PATH: &str = "/admin/keys";

pub async fn show(Admin(person): Admin) -> Result<Response, PageError> {
    let app = person.app();
    let keys = manage::list(&app.manager()).await.map_err(|error| person.error(error))?;
    let lifetimes = &app.config.lifetimes;
    Ok(render(&KeysPage {
        chrome: Chrome::of(app),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        algorithms: KeyAlg::ALL.iter().map(|alg| algorithm(&person, *alg, &keys)).collect(),
        life: KeyLife {
            next: format!("at least {}", format_duration(lifetimes.signing_key_overlap)),
            active: format_duration(lifetimes.signing_key),
            retired: format_duration(rotation::RETIRED_KEY_TTL),
        },
        jwks_uri: app.config.issuer.join(ENDPOINTS.jwks),
        discovery_uri: app.config.issuer.join("/.well-known/openid-configuration"),
    }))
}

pub async fn rotate(PathParam(alg): PathParam<KeyAlg>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let done = manage::rotate(&person.app().manager(), &person.by(), alg, false).await;
    let done = done.map_err(|error| failed(person, error))?;
    reload(person).await?;
    let old = if alg.signing_alg().is_some() { "stays published" } else { "still decrypts" };
    let text = match done {
        RotationOutcome::Now(_) => format!("{alg} has a new active key. The old one {old} for a while."),
        RotationOutcome::Scheduled(_, from) => {
            format!("The next {alg} key signs from {} on, when every app can know it.", when(from).text)
        }
    };
    Ok(redirect_with_flash(person, Flash::ok(text), PATH))
}

pub async fn ask_retire(Admin(person): Admin, PathParam(kid): PathParam<String>) -> Result<Response, PageError> {
    let key = found(&person, &kid).await?;
    Ok(render(&confirm(&person, &key, "", None)))
}

pub async fn retire(PathParam(kid): PathParam<String>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let key = found(person, &kid).await?;
    let typed = form.text("confirm");
    if typed.trim() != key.alg.as_str() {
        let page = confirm(person, &key, typed, Some("That isn’t the key’s algorithm."));
        return Ok(rerender(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let done = manage::retire(&person.app().manager(), &person.by(), &kid).await;
    done.map_err(|error| failed(person, error))?;
    reload(person).await?;
    let void = if key.alg.signing_alg().is_some() {
        "What it signed is void."
    } else {
        "What was encrypted to it can’t be read."
    };
    Ok(redirect_with_flash(person, Flash::ok(format!("The key is withdrawn. {void}")), PATH))
}

/// Reloads the keys of this node. The change feed would do so too, but possibly after the next page is shown.
async fn reload(person: &SignedIn) -> Result<(), PageError> {
    let app = person.app();
    app.provider.keys.reload(app.store()).await.map_err(|error| person.error(error))
}

async fn found(person: &SignedIn, kid: &str) -> Result<StoredKey, PageError> {
    let keys = manage::list(&person.app().manager()).await.map_err(|error| person.error(error))?;
    keys.into_iter().find(|key| key.kid == kid).ok_or_else(|| person.not_found("There is no such key."))
}

fn algorithm(person: &SignedIn, alg: KeyAlg, keys: &[StoredKey]) -> Algorithm {
    let lifetimes = &person.app().config.lifetimes;
    let of = |state| keys.iter().filter(move |key| key.alg == alg && key.state == state);
    let next = of(State::Next).next().map(|key| key.created_at.plus_seconds(lifetimes.signing_key_overlap));
    let active = of(State::Active).next().and_then(|key| key.activated_at);
    // The condition of `rotation::due_algorithms`: the active key is old enough, and the next one has been
    // published for long enough.
    let due = active.map(|at| at.plus_seconds(lifetimes.signing_key));
    let change = if alg.signing_alg().is_some() { due.zip(next).map(|(due, known)| due.max(known)) } else { due };
    let row = |key: &StoredKey| KeyRow {
        kid: key.kid.clone(),
        state: match key.state {
            State::Next => KeyStateView::Next,
            State::Active => KeyStateView::Active,
            State::Retired => KeyStateView::Retired,
        },
        made: when(key.created_at),
        active_from: if key.state == State::Next { change } else { key.activated_at }.map(when),
        kept_until: rotation::published_until(key).map(when),
    };
    Algorithm {
        alg: alg.as_str().to_owned(),
        used_for: match alg {
            KeyAlg::RS256 => "Signs ID tokens, unless an app asks otherwise",
            KeyAlg::ES256 => "Signs access tokens, and ID tokens for apps that ask for it",
            KeyAlg::PS256 | KeyAlg::EdDSA => "Signs ID tokens for apps that ask for it",
            KeyAlg::RsaOaep256 | KeyAlg::EcdhEs => "Apps encrypt their requests to it",
        }
        .to_owned(),
        next_change: change.map(when),
        keys: of(State::Next).chain(of(State::Active)).chain(of(State::Retired)).map(row).collect(),
    }
}

fn when(at: Timestamp) -> DisplayTime {
    DisplayTime::new(at.date())
}

fn format_duration(seconds: i64) -> String {
    match (seconds / 86_400, seconds / 3600) {
        (0, 1) => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

fn confirm(person: &SignedIn, key: &StoredKey, typed: &str, error: Option<&str>) -> ConfirmPage {
    let alg = key.alg.as_str();
    let consequences: &[&str] = match key.state {
        _ if key.alg.signing_alg().is_none() => &["what was encrypted to it can’t be read; apps read the keys again"],
        State::Next => &["another next key takes its place"],
        State::Active => &[
            "everything it signed is void: people sign in again, and apps ask for new tokens",
            "the next key signs from now on; apps that don’t know it yet fail until they read the keys again",
        ],
        State::Retired => &["everything it signed that is still alive is void"],
    };
    ConfirmPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        section: Section::Keys,
        crumbs: vec![Crumb { label: "Keys".to_owned(), href: PATH.to_owned() }],
        step: "Withdraw".to_owned(),
        title: format!("Withdraw the {} {alg} key?", key.state.as_str()),
        warning: "This can’t be undone.".to_owned(),
        effects: [format!("the key {} is published no more", key.kid)]
            .into_iter()
            .chain(consequences.iter().map(|effect| (*effect).to_owned()))
            .collect(),
        word: alg.to_owned(),
        typed: typed.to_owned(),
        error: error.map(ToOwned::to_owned),
        action: format!("{PATH}/{}/retire", key.kid),
        button: "Withdraw this key".to_owned(),
        back: PATH.to_owned(),
        instead: None,
    }
}
