//! `/admin/registration`: the settings of dynamic client registration and its initial access tokens (RFC 7591
//! §3). A new token is shown once, on the page to which its creation redirects.

use axum::http::StatusCode;
use axum::response::Response;

use super::views::Choice;
use super::views::registration::{RegistrationAccess, RegistrationPage, TokenForm, TokenRow};
use super::{FieldErrors, at, failed, form_errors, redirect_with_flash, rerender};
use crate::config::RegistrationMode;
use crate::domain::ids::InitialAccessId;
use crate::env::Timestamp;
use crate::manage::registration as manage;
use crate::store::initial_access::InitialAccess;
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls::ENDPOINTS;
use crate::web::view::{Chrome, DisplayTime};

const PATH: &str = "/admin/registration";
const DAY: i64 = 86_400;
/// The lifetimes of a token in seconds, with labels. The first is the default of the form.
const EXPIRY_CHOICES: [(i64, &str); 4] =
    [(7 * DAY, "A week"), (DAY, "A day"), (30 * DAY, "30 days"), (365 * DAY, "A year")];

pub async fn show(Admin(person): Admin) -> Result<Response, PageError> {
    Ok(render(&page(&person, form("", EXPIRY_CHOICES[0].0, FieldErrors::new())).await?))
}

pub async fn create(sent: AdminForm) -> Result<Response, PageError> {
    let person = &sent.signed_in;
    sent.complete(&["uses", "expires_in"])?;
    let uses = sent.text("uses").trim();
    let chosen = sent.text("expires_in").parse().ok();
    let seconds = EXPIRY_CHOICES.iter().map(|(seconds, _)| *seconds).find(|seconds| Some(*seconds) == chosen);
    let read = match (uses.is_empty().then_some(None).or_else(|| uses.parse().ok().map(Some)), seconds) {
        (Some(uses), Some(seconds)) => Ok((uses, seconds)),
        (None, _) => Err(at("uses", "Write a number, or leave it empty.")),
        (_, None) => Err(at("expires_in", "Choose one of these.")),
    };
    let refuse = async |status, errors| {
        let page = page(person, form(uses, seconds.unwrap_or(EXPIRY_CHOICES[0].0), errors)).await?;
        Ok(rerender(status, &page))
    };
    let (uses, seconds) = match read {
        Ok(read) => read,
        Err(errors) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, errors).await,
    };
    match manage::create_initial_access_token(&person.app().manager(), &person.by(), uses, seconds).await {
        Ok((token, _)) => Ok(redirect_with_flash(
            person,
            Flash::ok("The token is made.").with_secret(token.expose().to_owned()),
            PATH,
        )),
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            refuse(status, errors).await
        }
    }
}

pub async fn revoke(PathParam(id): PathParam<InitialAccessId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let done = manage::revoke_access(&person.app().manager(), &person.by(), id).await;
    done.map_err(|error| failed(person, error))?;
    Ok(redirect_with_flash(person, Flash::ok("The token is revoked. Apps that registered by it stay."), PATH))
}

fn form(uses: &str, seconds: i64, errors: FieldErrors) -> TokenForm {
    let choice = |(value, label): (i64, &str)| Choice {
        value: value.to_string(),
        label: label.to_owned(),
        selected: value == seconds,
    };
    TokenForm { uses: uses.to_owned(), expires_in: EXPIRY_CHOICES.map(choice).to_vec(), errors }
}

async fn page(person: &SignedIn, form: TokenForm) -> Result<RegistrationPage, PageError> {
    let (app, config) = (person.app(), &person.app().config);
    let tokens = manage::list_initial_access_tokens(app.store()).await.map_err(|error| person.error(error))?;
    let now = app.env().now();
    Ok(RegistrationPage {
        chrome: Chrome::of(app),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        access: match config.registration {
            RegistrationMode::Off => RegistrationAccess::Disabled,
            RegistrationMode::Token => RegistrationAccess::WithToken,
            RegistrationMode::Open => RegistrationAccess::Open,
        },
        endpoint: config.issuer.join(ENDPOINTS.registration),
        scope: config.registration_policy.scope.clone(),
        grant_types: config.registration_policy.grant_types.join(" "),
        documents: config.client_id_metadata_documents,
        token: person.flash.as_ref().and_then(|flash| flash.secret.clone()),
        tokens: tokens.iter().map(|token| row(token, now)).collect(),
        form,
    })
}

fn row(access: &InitialAccess, now: Timestamp) -> TokenRow {
    TokenRow {
        id: access.id.to_string(),
        uses_left: access.uses_left.map_or_else(|| "Any number".to_owned(), |left| left.to_string()),
        made: DisplayTime::new(access.created_at.date()),
        until: DisplayTime::new(access.expires_at.date()),
        expired: access.expires_at <= now,
    }
}
