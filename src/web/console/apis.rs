//! `/admin/apis`: the table of APIs, and the form for a new API.

use axum::http::StatusCode;
use axum::response::Response;

use super::views::apis::{ApiForm, ApiRow, ApisPage, GateState, NewApiPage};
use super::{FieldErrors, api_form, form_errors, redirect_with_flash, rerender};
use crate::domain::api::{Api, ApiId};
use crate::domain::gate::CredentialKind;
use crate::manage::apis as manage;
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::Chrome;
use crate::web::view::visible;

/// Replaces an invalid identifier, so that the rest of the form can be checked.
const PLACEHOLDER_IDENTIFIER: &str = "urn:signet:unnamed";

/// Shows all APIs on one page. There are few, and the gate keeps all of them in memory too.
pub async fn list(Admin(person): Admin) -> Result<Response, PageError> {
    let all = manage::all(&person.app().manager()).await.map_err(|error| super::failed(&person, error))?;
    Ok(render(&ApisPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        apis: all.iter().map(row).collect(),
    }))
}

pub async fn show_new(Admin(person): Admin) -> Response {
    render(&new_page(&person, "", ApiForm::default()))
}

pub async fn submit_new(form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["identifier"])?;
    let (identifier, typed) = (form.text("identifier").trim(), api_form::typed(&form)?);
    let refuse = |status, errors: FieldErrors| {
        rerender(status, &new_page(person, identifier, ApiForm { errors, ..typed.clone() }))
    };
    let api = match ApiId::parse(identifier) {
        Ok(id) => api_form::read(&typed, Api::new(id)),
        Err(problem) => {
            let mut errors = vec![api_form::wrong("identifier", problem)];
            // The other fields are checked with a placeholder, so that all errors are shown at once.
            let read = ApiId::parse(PLACEHOLDER_IDENTIFIER).map(|id| api_form::read(&typed, Api::new(id)));
            errors.extend(read.ok().and_then(Result::err).unwrap_or_default());
            Err(errors)
        }
    };
    let api = match api {
        Ok(api) => api,
        Err(errors) => return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, errors)),
    };
    match manage::create(&person.app().manager(), &person.by(), api.clone()).await {
        Ok(()) => {
            let flash = Flash::ok(format!("{} is added.", api.display_name()));
            Ok(redirect_with_flash(person, flash, &urls::console_api(&api.identifier)))
        }
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            Ok(refuse(status, errors))
        }
    }
}

pub(super) fn state(api: &Api) -> GateState {
    match &api.gate {
        None => GateState::NoGate,
        Some(_) if api.rules.is_empty() => GateState::NoRules,
        Some(_) => GateState::Guarded,
    }
}

fn row(api: &Api) -> ApiRow {
    let ways = CredentialKind::ALL.into_iter().filter(|way| api.gate.is_some() && api.allows_credential(*way));
    ApiRow {
        name: visible(api.display_name()),
        identifier: api.identifier.as_str().to_owned(),
        href: urls::console_api(&api.identifier),
        gate: api.gate.as_ref().map(|gate| gate.as_str().to_owned()),
        credential_kinds: ways.map(CredentialKind::as_str).collect(),
        state: state(api),
    }
}

fn new_page(person: &SignedIn, identifier: &str, form: ApiForm) -> NewApiPage {
    NewApiPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        identifier: identifier.to_owned(),
        form: form.with_empty_row(),
    }
}
