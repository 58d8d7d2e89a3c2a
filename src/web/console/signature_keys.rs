//! `/admin/clients/{id}/signature-keys`: the keys with which a client signs its requests (RFC 9421). A public
//! key is pasted into the form. A shared secret is generated, passed to the list in the sealed cookie of
//! [`crate::web::flash`] and shown once.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::found;
use super::views::signature_keys::{SignatureKeyForm, SignatureKeyLine, SignatureKeysPage, algorithms};
use super::{failed, form_errors, redirect_with_flash, rerender};
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::signature_key::{KeyId, SignatureAlg};
use crate::manage::signature_keys::SignatureKeyRow;
use crate::manage::{ManageError, clients};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::Chrome;
use crate::web::view::visible;

const FIELDS: [&str; 3] = ["keyid", "alg", "jwk"];

fn page_path(id: &ClientId) -> String {
    format!("{}/signature-keys", urls::console_client(id))
}

pub async fn show(Admin(person): Admin, PathParam(id): PathParam<ClientId>) -> Result<Response, PageError> {
    let client = found(&person, &id).await?;
    let form = SignatureKeyForm { algs: algorithms(SignatureAlg::Ed25519.as_str()), ..SignatureKeyForm::default() };
    Ok(render(&page(&person, &client, form)))
}

pub async fn add(PathParam(id): PathParam<ClientId>, sent: AdminForm) -> Result<Response, PageError> {
    let person = &sent.signed_in;
    sent.complete(&FIELDS)?;
    let client = found(person, &id).await?;
    let form = |errors| SignatureKeyForm {
        keyid: sent.text("keyid").to_owned(),
        algs: algorithms(sent.text("alg")),
        jwk: sent.text("jwk").to_owned(),
        errors,
    };
    let row = match read(person, &sent) {
        Ok(row) => row,
        Err((field, text)) => {
            let form = form(vec![(field.to_owned(), text)]);
            return Ok(rerender(axum::http::StatusCode::UNPROCESSABLE_ENTITY, &page(person, &client, form)));
        }
    };
    let secret = row.secret.as_ref().map(|secret| secret.expose().to_owned());
    match clients::add_signature_key(&person.app().manager(), &person.by(), &id, row).await {
        Ok(_) => {
            let flash = Flash::ok("The key is added.");
            let flash = match secret {
                Some(secret) => flash.with_secret(secret),
                None => flash,
            };
            Ok(redirect_with_flash(person, flash, &page_path(&id)))
        }
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            // `signature_keys[0].jwk` is the field `jwk` of this form.
            let named = |field: String| match field.rsplit(['.', ']']).next() {
                Some(last) if FIELDS.contains(&last) => last.to_owned(),
                _ if field == "signature_keys" => "keyid".to_owned(),
                _ => String::new(),
            };
            let errors = errors.into_iter().map(|(field, text)| (named(field), text)).collect();
            Ok(rerender(status, &page(person, &client, form(errors))))
        }
    }
}

pub async fn remove(PathParam(id): PathParam<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["keyid"])?;
    let gone = || Flash::bad("There is no such key any more.");
    let Ok(keyid) = KeyId::try_from(form.text("keyid").to_owned()) else {
        return Ok(redirect_with_flash(person, gone(), &page_path(&id)));
    };
    let done = clients::remove_signature_key(&person.app().manager(), &person.by(), &id, keyid.clone()).await;
    let flash = match done {
        Ok(_) => Flash::ok(format!("{} is removed. What is signed by it is refused.", keyid.as_str())),
        Err(ManageError::NotFound(_)) => gone(),
        Err(error) => return Err(failed(person, error)),
    };
    Ok(redirect_with_flash(person, flash, &page_path(&id)))
}

fn read(person: &SignedIn, sent: &AdminForm) -> Result<SignatureKeyRow, (&'static str, String)> {
    let sentence = |text: &str| format!("It {}.", text.trim_start_matches("keyid: "));
    let keyid = KeyId::try_from(sent.text("keyid").trim().to_owned()).map_err(|text| ("keyid", sentence(text)))?;
    let alg = SignatureAlg::ALL.into_iter().find(|alg| alg.as_str() == sent.text("alg"));
    let alg = alg.ok_or_else(|| ("alg", "Choose one of these.".to_owned()))?;
    let row = SignatureKeyRow { keyid, alg, secret: None, sealed_secret: None, jwk: None };
    if alg == SignatureAlg::HmacSha256 {
        if !sent.text("jwk").trim().is_empty() {
            return Err(("jwk", "A shared secret is made here; leave this empty.".to_owned()));
        }
        let secret = STANDARD.encode(person.app().env().random::<32>());
        return Ok(SignatureKeyRow { secret: Some(Secret::new(secret)), ..row });
    }
    let jwk = serde_json::from_str(sent.text("jwk"));
    let jwk = jwk.map_err(|_| ("jwk", "Paste the public key as a JWK: a JSON object.".to_owned()))?;
    Ok(SignatureKeyRow { jwk: Some(jwk), ..row })
}

fn page(person: &SignedIn, client: &Client, form: SignatureKeyForm) -> SignatureKeysPage {
    let line = |key: &crate::domain::signature_key::SignatureKey| SignatureKeyLine {
        keyid: key.keyid.as_str().to_owned(),
        alg: key.alg.as_str(),
    };
    SignatureKeysPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        app: visible(client.display_name()),
        href: urls::console_client(&client.id),
        secret: person.flash.as_ref().and_then(|flash| flash.secret.clone()),
        keys: client.signature_keys.iter().map(line).collect(),
        form,
    }
}
