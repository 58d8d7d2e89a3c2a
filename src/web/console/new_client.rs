//! `/admin/clients/new`: creates a client in three steps. The third step is the client's page
//! ([`super::client`]), which shows the secret once.

use axum::http::StatusCode;
use axum::response::Response;

use super::client::apis;
use super::views::clients::{ClientKindPage, Kind, NewClientForm, NewClientPage};
use super::{FieldErrors, client_form, form_errors, groups, redirect_with_flash, rerender};
use crate::manage::clients::{self, NewClient};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::Chrome;

pub async fn kinds(Admin(person): Admin) -> Response {
    render(&ClientKindPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
    })
}

pub async fn show(Admin(person): Admin, PathParam(kind): PathParam<Kind>) -> Result<Response, PageError> {
    let allowed_groups = groups::picker(&person, client_form::ALLOWED_GROUPS, &[], "").await?;
    Ok(render(&page(&person, kind, NewClientForm { allowed_groups, ..NewClientForm::blank(kind) })))
}

pub async fn submit(PathParam(kind): PathParam<Kind>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["client_name", "client_id", "scope"])?;
    let typed = client_form::new_from_request(&form, kind).await?;
    let refuse =
        |status, errors: FieldErrors| rerender(status, &page(person, kind, NewClientForm { errors, ..typed.clone() }));
    if groups::is_search(&form) {
        return Ok(refuse(StatusCode::OK, Vec::new()));
    }
    let meta = match client_form::parse_new(&typed, kind, &apis(person).await?) {
        Ok(meta) => meta,
        Err(errors) => return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, errors)),
    };
    let id = Some(typed.client_id.clone()).filter(|id| !id.is_empty());
    match clients::create(&person.app().manager(), &person.by(), NewClient { id, meta, secret: None }).await {
        Ok((client, secret)) => {
            let flash = Flash::ok(format!("{} is connected.", client.display_name()));
            let flash = secret.iter().fold(flash, |flash, secret| flash.with_secret(secret.expose().to_owned()));
            Ok(redirect_with_flash(person, flash, &urls::console_client(&client.id)))
        }
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            Ok(refuse(status, errors))
        }
    }
}

fn page(person: &SignedIn, kind: Kind, form: NewClientForm) -> NewClientPage {
    NewClientPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        kind,
        form,
    }
}
