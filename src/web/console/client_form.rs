//! Converts between the two forms for clients and their metadata (RFC 7591 §2), with an error message for
//! each invalid field. Metadata members that a form does not show are not changed.
//!
//! See also [`super::client_members`], for the rarely used members, and [`super::new_client`] and
//! [`super::client`], which show the forms.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::metadata_fields::{FieldTexts, ResponseTypes};
use super::views::clients::{ClientForm, EVERYBODY, IN_GROUPS, Kind, NewClientForm};
use super::views::groups::GroupPicker;
use super::{FieldErrors, groups};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::client_metadata::{
    ClientAuthMethod, ClientMetadata, ConsentPolicy, GrantType, GroupName, TokenFormat,
};
use crate::domain::http_host::HttpHost;
use crate::domain::redirect_uri::RedirectUri;
use crate::domain::scope::Scopes;
use crate::domain::web_address::WebPage;
use crate::manage::FieldError;
use crate::web::edit::EditState;
use crate::web::error::PageError;
use crate::web::extract::AdminForm;

/// The text fields of a client's form. Browsers send them even if they are empty.
pub const FIELDS: [&str; 11] = [
    "client_name",
    "redirect_uris",
    "post_logout_redirect_uris",
    "scope",
    "consent",
    "access",
    "token_endpoint_auth_method",
    "access_token_format",
    "id_token_signed_response_alg",
    "policy_uri",
    "tos_uri",
];

/// The name of the check boxes for groups.
pub const ALLOWED_GROUPS: &str = "allowed_groups";

/// Returns the form with the stored settings, except for the groups.
pub fn shown(client: &Client, apis: &[Api]) -> ClientForm {
    let meta = &client.meta.with_unqualified_scopes(apis);
    let page = |page: &Option<WebPage>| page.as_ref().map(|page| page.as_str().to_owned()).unwrap_or_default();
    ClientForm {
        client_name: meta.client_name.clone(),
        redirect_uris: lines(&meta.redirect_uris),
        post_logout_redirect_uris: lines(&meta.post_logout_redirect_uris),
        grant_types: meta.grant_types.iter().map(name_of).collect(),
        token_endpoint_auth_method: name_of(&meta.token_endpoint_auth_method),
        scope: meta.scope.to_string(),
        consent: name_of(&meta.consent),
        access: if meta.allowed_groups.is_empty() { EVERYBODY } else { IN_GROUPS }.to_owned(),
        allowed_groups: GroupPicker::default(),
        unknown_scopes: client.meta.unknown_scopes().to_string(),
        require_pkce: client.needs_pkce(),
        access_token_format: meta.access_token_format.as_ref().map(name_of).unwrap_or_default(),
        id_token_signed_response_alg: name_of(&meta.id_token_signed_response_alg),
        policy_uri: page(&meta.policy_uri),
        tos_uri: page(&meta.tos_uri),
        response_types: meta.response_types().iter().map(name_of).collect(),
        members: FieldTexts::shown(meta),
        edit: EditState::default(),
        errors: Vec::new(),
    }
}

/// Returns the submitted form.
pub async fn typed(form: &AdminForm) -> Result<ClientForm, PageError> {
    let text = |name| form.text(name).to_owned();
    Ok(ClientForm {
        client_name: text("client_name"),
        redirect_uris: text("redirect_uris"),
        post_logout_redirect_uris: text("post_logout_redirect_uris"),
        grant_types: form.all("grant_types"),
        token_endpoint_auth_method: text("token_endpoint_auth_method"),
        scope: text("scope"),
        consent: text("consent"),
        access: text("access"),
        allowed_groups: groups::typed(form, ALLOWED_GROUPS).await?,
        unknown_scopes: String::new(),
        require_pkce: form.ticked("require_pkce"),
        access_token_format: text("access_token_format"),
        id_token_signed_response_alg: text("id_token_signed_response_alg"),
        policy_uri: text("policy_uri"),
        tos_uri: text("tos_uri"),
        response_types: form.all("response_types"),
        members: FieldTexts::typed(form),
        edit: EditState::default(),
        errors: Vec::new(),
    })
}

pub async fn new_from_request(form: &AdminForm, kind: Kind) -> Result<NewClientForm, PageError> {
    let text = |name| form.text(name).to_owned();
    let signs_in = kind != Kind::Machine;
    Ok(NewClientForm {
        client_name: text("client_name"),
        client_id: form.text("client_id").trim().to_owned(),
        redirect_uris: text("redirect_uris"),
        post_logout_redirect_uris: text("post_logout_redirect_uris"),
        scope: text("scope"),
        unknown_scopes: String::new(),
        consent: if signs_in { text("consent") } else { name_of(&ConsentPolicy::Required) },
        access: if signs_in { text("access") } else { EVERYBODY.to_owned() },
        allowed_groups: groups::typed(form, ALLOWED_GROUPS).await?,
        require_pkce: kind != Kind::Web || form.ticked("require_pkce"),
        http_redirect_hosts: text("http_redirect_hosts"),
        policy_uri: text("policy_uri"),
        tos_uri: text("tos_uri"),
        errors: Vec::new(),
    })
}

/// Returns the metadata of a new client of the given kind.
pub fn parse_new(form: &NewClientForm, kind: Kind, apis: &[Api]) -> Result<ClientMetadata, FieldErrors> {
    let mut read = FieldReader::default();
    let mut meta = ClientMetadata::default();
    meta.client_name = read.name(&form.client_name);
    meta.redirect_uris = read.addresses("redirect_uris", &form.redirect_uris);
    meta.post_logout_redirect_uris = read.addresses("post_logout_redirect_uris", &form.post_logout_redirect_uris);
    meta.scope = read.scope(&form.scope);
    meta.consent = read.choice("consent", &form.consent).unwrap_or(meta.consent);
    meta.allowed_groups = read.access(&form.access, &form.allowed_groups);
    meta.require_pkce = form.require_pkce;
    meta.http_redirect_hosts = read.http_hosts(&form.http_redirect_hosts);
    meta.policy_uri = read.web_page("policy_uri", &form.policy_uri);
    meta.tos_uri = read.web_page("tos_uri", &form.tos_uri);
    meta.grant_types = match kind {
        Kind::Web | Kind::Browser => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        Kind::Machine => vec![GrantType::ClientCredentials],
    };
    if kind == Kind::Browser {
        meta.token_endpoint_auth_method = ClientAuthMethod::None;
    }
    read.done(meta, apis)
}

/// Applies the form to `meta`, or returns the errors of all fields, including those of combinations.
pub fn metadata(form: &ClientForm, mut meta: ClientMetadata, apis: &[Api]) -> Result<ClientMetadata, FieldErrors> {
    let mut read = FieldReader::default();
    let shown_pkce = meta.is_public() || meta.require_pkce;
    let responses = ResponseTypes { before: meta.response_types(), ticked: &form.response_types };
    meta.client_name = read.name(&form.client_name);
    meta.redirect_uris = read.addresses("redirect_uris", &form.redirect_uris);
    meta.post_logout_redirect_uris = read.addresses("post_logout_redirect_uris", &form.post_logout_redirect_uris);
    let grant_types = form.grant_types.iter().filter_map(|name| read.choice("grant_types", name)).collect();
    meta.grant_types = grant_types;
    if let Some(method) = read.choice("token_endpoint_auth_method", &form.token_endpoint_auth_method) {
        meta.token_endpoint_auth_method = method;
    }
    meta.scope = read.scope(&form.scope);
    meta.consent = read.choice("consent", &form.consent).unwrap_or(meta.consent);
    meta.allowed_groups = read.access(&form.access, &form.allowed_groups);
    // A public client needs PKCE whatever is stored, and the form shows it as required.
    if !meta.is_public() || form.require_pkce != shown_pkce {
        meta.require_pkce = form.require_pkce;
    }
    meta.access_token_format =
        match (read.choice("access_token_format", &form.access_token_format), meta.access_token_format) {
            // Without a stored format the API decides, and the form shows the default. Sending that form must
            // not store it.
            (Some(TokenFormat::Jwt), None) => None,
            (chosen, _) => chosen,
        };
    if let Some(alg) = read.choice("id_token_signed_response_alg", &form.id_token_signed_response_alg) {
        meta.id_token_signed_response_alg = alg;
    }
    meta.policy_uri = read.web_page("policy_uri", &form.policy_uri);
    meta.tos_uri = read.web_page("tos_uri", &form.tos_uri);
    let (meta, errors) = form.members.metadata(meta, &responses);
    read.0.extend(errors);
    read.done(meta, apis)
}

/// Parses fields and collects their errors.
#[derive(Default)]
struct FieldReader(FieldErrors);

impl FieldReader {
    fn wrong(&mut self, field: &str, message: String) {
        self.0.push((field.to_owned(), message));
    }

    fn name(&mut self, text: &str) -> String {
        if text.trim().is_empty() {
            self.wrong("client_name", "Give it a name that people recognise.".to_owned());
        }
        text.trim().to_owned()
    }

    /// Parses redirect URIs, one per line.
    fn addresses(&mut self, field: &str, text: &str) -> Vec<RedirectUri> {
        let mut read = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match RedirectUri::parse(line) {
                Ok(uri) => read.push(uri),
                Err(problem) => self.wrong(field, format!("“{line}” {problem}.")),
            }
        }
        read
    }

    fn http_hosts(&mut self, text: &str) -> Vec<HttpHost> {
        let mut read = Vec::new();
        for host in text.split_whitespace() {
            match HttpHost::parse(host) {
                Ok(host) => read.push(host),
                Err(problem) => self.wrong("http_redirect_hosts", format!("“{host}” {problem}.")),
            }
        }
        read
    }

    fn scope(&mut self, text: &str) -> Scopes {
        let text: Vec<&str> = text.split_whitespace().collect();
        Scopes::parse(&text.join(" ")).unwrap_or_else(|problem| {
            self.wrong("scope", FieldError::new("scope", problem).sentence());
            Scopes::default()
        })
    }

    fn web_page(&mut self, field: &str, text: &str) -> Option<WebPage> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        WebPage::parse(text).map_err(|problem| self.wrong(field, FieldError::new(field, problem).sentence())).ok()
    }

    /// Parses a value by its name in the metadata.
    fn choice<T: DeserializeOwned>(&mut self, field: &str, name: &str) -> Option<T> {
        let read = serde_json::from_value(Value::String(name.to_owned()));
        read.map_err(|_| self.wrong(field, "Choose one of these.".to_owned())).ok()
    }

    /// Returns the allowed groups. An empty list means all users, so ticking no group is an error unless all
    /// users were chosen.
    fn access(&mut self, access: &str, picker: &GroupPicker) -> Vec<GroupName> {
        if access == EVERYBODY {
            return Vec::new();
        }
        if access != IN_GROUPS {
            self.wrong("access", "Choose one of these.".to_owned());
        }
        let groups: Vec<GroupName> = picker.ticked().filter_map(|group| GroupName::parse(group).ok()).collect();
        if groups.is_empty() {
            self.wrong(ALLOWED_GROUPS, "Tick a group, or let everybody use it.".to_owned());
        }
        groups
    }

    /// Returns the metadata, or all errors: those of fields that could not be parsed and those of the checks
    /// on the others.
    fn done(mut self, mut meta: ClientMetadata, apis: &[Api]) -> Result<ClientMetadata, FieldErrors> {
        if self.0.is_empty() {
            return Ok(meta);
        }
        let mut problems = meta.problems();
        problems.extend(meta.resolve_scopes(apis));
        for problem in problems {
            if !self.0.iter().any(|(field, _)| field == problem.field) {
                self.wrong(problem.field, FieldError::from(problem.clone()).sentence());
            }
        }
        Err(self.0)
    }
}

/// Returns the name of a value in the metadata.
pub fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

fn lines(uris: &[RedirectUri]) -> String {
    uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>().join("\n")
}
