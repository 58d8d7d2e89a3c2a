//! `/admin/apis/{id}`: the page of one API: its settings and rules, a trial of the rules, the record of its
//! gate, and its deletion.

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::views::apis::{ApiForm, ApiPage, RuleTrial, TrialOutcome};
use super::views::{ConfirmPage, Crumb, Section};
use super::{api_form, apis, failed, form_errors, redirect_with_flash, refusals, rerender};
use crate::domain::api::{Api, ApiId};
use crate::domain::gate::GateName;
use crate::gate::forwarded_request::ForwardedRequest;
use crate::gate::headers::Headers;
use crate::gate::{GateRequest, rules};
use crate::manage::{ManageError, Revision, apis as manage};
use crate::protocol::parameters::Parameters;
use crate::web::edit::{self, EditTarget, SubmittedForm};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls::{self, APIS, GATE};
use crate::web::view::Chrome;
use crate::web::view::visible;

/// The ASCII characters that are percent-encoded in a typed path, as browsers do. Quotation marks and similar
/// characters are not encoded, because the gate reads them the same way unencoded.
const ENCODED_BY_BROWSERS: &AsciiSet = &CONTROLS.add(b' ');

pub async fn show(
    Admin(person): Admin,
    PathParam(id): PathParam<ApiId>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let api = found(&person, &id).await?;
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| person.error(error))?;
    let text = |name: &str| query.one(name).ok().flatten().unwrap_or_default().trim();
    let trial = trial(&api, text("method"), text("path"));
    let form = edit::begun(&person, &EditTarget::Api(id), api_form::shown(&api))?;
    Ok(render(&page(&person, &api, form, trial).await?))
}

pub async fn save(PathParam(id): PathParam<ApiId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let (typed, about) = (api_form::typed(&form)?, EditTarget::Api(id.clone()));
    let sent = SubmittedForm::read(person, form.fields(), &about, &urls::console_api(&id))?;
    edit::save(person, || try_save(person, &id, typed.clone(), &about, &sent)).await
}

/// Returns `None` if the API was changed while the form was being saved.
async fn try_save(
    person: &SignedIn,
    id: &ApiId,
    typed: ApiForm,
    about: &EditTarget,
    sent: &SubmittedForm<'_>,
) -> Result<Option<Response>, PageError> {
    let api = found(person, id).await?;
    let typed = edit::merge(person, sent, about, &api_form::shown(&api), typed).await?;
    let again = async |status, form| Ok(Some(rerender(status, &page(person, &api, form, RuleTrial::default()).await?)));
    if typed.edit.is_conflict() {
        return again(StatusCode::CONFLICT, typed).await;
    }
    let read = match api_form::read(&typed, api.clone()) {
        Ok(read) => Revision::of(api.clone(), read),
        Err(errors) => return again(StatusCode::UNPROCESSABLE_ENTITY, ApiForm { errors, ..typed }).await,
    };
    match manage::replace(&person.app().manager(), &person.by(), read).await {
        Ok(()) => Ok(Some(redirect_with_flash(person, Flash::ok(typed.edit.saved()), &urls::console_api(id)))),
        Err(ManageError::Changed) => Ok(None),
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            again(status, ApiForm { errors, ..typed }).await
        }
    }
}

pub async fn ask_delete(Admin(person): Admin, PathParam(id): PathParam<ApiId>) -> Result<Response, PageError> {
    let api = found(&person, &id).await?;
    Ok(render(&confirm(&person, &api, "", None)))
}

pub async fn delete(PathParam(id): PathParam<ApiId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let api = found(person, &id).await?;
    let typed = form.text("confirm");
    if typed.trim() != id.as_str() {
        let page = confirm(person, &api, typed, Some("That isn’t the API’s identifier."));
        return Ok(rerender(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let done = manage::delete(&person.app().manager(), &person.by(), id).await;
    done.map_err(|error| failed(person, error))?;
    Ok(redirect_with_flash(person, Flash::ok(format!("{} is deleted.", api.display_name())), APIS))
}

async fn found(person: &SignedIn, id: &ApiId) -> Result<Api, PageError> {
    match manage::one(&person.app().manager(), id).await {
        Ok(api) => Ok(api),
        Err(ManageError::NotFound(_)) => Err(person.not_found("There is no such API.")),
        Err(error) => Err(failed(person, error)),
    }
}

/// Returns the rule that decides on a request. The gate's own parser reads the request, in the form in which
/// nginx forwards it.
fn trial(api: &Api, method: &str, path: &str) -> RuleTrial {
    let outcome = (!method.is_empty() || !path.is_empty()).then(|| decided(api, method, path));
    RuleTrial { method: method.to_owned(), path: path.to_owned(), outcome }
}

fn decided(api: &Api, method: &str, path: &str) -> TrialOutcome {
    if !path.starts_with('/') {
        return TrialOutcome::Invalid("A path begins with a slash.".to_owned());
    }
    let path = utf8_percent_encode(path, ENCODED_BY_BROWSERS);
    let (method, url) = (method.to_ascii_uppercase(), format!("https://any{path}"));
    let fields = Headers(vec![("x-original-method", method.as_bytes()), ("x-original-url", url.as_bytes())]);
    match ForwardedRequest::read(&GateRequest {
        gate: "",
        method: "GET",
        behind: None,
        fields: &fields,
        certificate: None,
        caller: None,
    }) {
        Err(refusal) => TrialOutcome::Invalid(refusal.text),
        Ok(request) => match rules::matching_rule_with_number(&api.rules, &request.method, &request.path) {
            Some((number, rule)) => TrialOutcome::Rule {
                number,
                shown: format!("{} {}", rule.methods.join(" "), rule.path.as_str()),
                asks: rule.requirements(),
            },
            None => TrialOutcome::NoRule,
        },
    }
}

async fn page(person: &SignedIn, api: &Api, form: ApiForm, trial: RuleTrial) -> Result<ApiPage, PageError> {
    let asked_at = |gate: &str| person.app().config.issuer.join(&format!("{GATE}/{gate}"));
    let gate = api.gate.as_ref().map(GateName::as_str);
    let record = match gate {
        Some(gate) => Some(refusals::record(person.app(), gate).await.map_err(|error| person.error(error))?),
        None => None,
    };
    Ok(ApiPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        name: visible(api.display_name()),
        identifier: api.identifier.as_str().to_owned(),
        href: urls::console_api(&api.identifier),
        state: apis::state(api),
        verify_url: gate.map(asked_at),
        record,
        trial,
        form: form.with_empty_row(),
    })
}

fn confirm(person: &SignedIn, api: &Api, typed: &str, error: Option<&str>) -> ConfirmPage {
    let (name, href) = (visible(api.display_name()), urls::console_api(&api.identifier));
    ConfirmPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        section: Section::Apis,
        crumbs: vec![
            Crumb { label: "APIs".to_owned(), href: APIS.to_owned() },
            Crumb { label: name.clone(), href: href.clone() },
        ],
        step: "Delete".to_owned(),
        title: format!("Delete {name}?"),
        warning: "This can’t be undone.".to_owned(),
        effects: vec![
            "no app gets a token for it any more".to_owned(),
            "its gate lets nobody in: what stands behind it can’t be reached through the proxy".to_owned(),
            "its settings and rules are erased; the events stay".to_owned(),
        ],
        word: api.identifier.as_str().to_owned(),
        typed: typed.to_owned(),
        error: error.map(ToOwned::to_owned),
        action: format!("{href}/delete"),
        button: format!("Delete {name}"),
        back: href,
        instead: None,
    }
}
