//! `/admin/people/{id}`: saves a user's details and groups. Both are forms that several users may edit at the
//! same time ([`crate::web::edit`]). See also [`super::user`], for the page and its other actions.

use axum::http::StatusCode;
use axum::response::Response;

use super::user::{INVALID, found, page};
use super::users::{self as list, groups_of};
use super::views::users::{DetailsForm, GroupsForm, UserPage};
use super::{adoption, form_errors, groups, redirect_with_flash, rerender};
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::manage::users::{self as manage, Adoption, UserEdit};
use crate::manage::{ManageError, Revision};
use crate::store::users;
use crate::web::edit::{self, EditState, EditTarget, Editable, FormField, SubmittedForm};
use crate::web::error::PageError;
use crate::web::extract::{AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;

pub async fn save(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["name", "email"])?;
    let sent = SubmittedForm::read(person, form.fields(), &EditTarget::User(id), &urls::console_user(id))?;
    edit::save(person, || try_save(&form, id, &sent)).await
}

/// Returns `None` if the user was changed while the form was being saved.
async fn try_save(form: &AdminForm, id: UserId, sent: &SubmittedForm<'_>) -> Result<Option<Response>, PageError> {
    let person = &form.signed_in;
    let user = found(person, id).await?;
    let typed = DetailsForm {
        name: form.text("name").to_owned(),
        email: form.text("email").to_owned(),
        email_verified: form.ticked("email_verified"),
        admin: form.ticked("admin"),
        ..DetailsForm::default()
    };
    let typed = edit::merge(person, sent, &EditTarget::User(id), &details(&user), typed).await?;
    let again = async |status, details| Ok(Some(rerender(status, &UserPage { details, ..page(person, &user).await? })));
    if typed.edit.is_conflict() {
        return again(StatusCode::CONFLICT, typed).await;
    }
    let (present, admin) = (UserEdit::present(&user), typed.admin);
    let profile = list::details((&typed.name, &typed.email, typed.email_verified), user.profile.clone());
    if form.ticked("adopt") && user.self_registered {
        let profile = Some(Revision::of(present.profile, profile));
        return adoption::adopt(person, &user, Adoption { profile, admin, ..Adoption::default() }).await;
    }
    let revision = Revision::of(present.clone(), UserEdit { profile, admin, ..present });
    match manage::update(&person.app().manager(), &person.by(), id, revision).await {
        // An administrator who gave up their own rights can no longer open this page.
        Ok(_) if id == person.user.id && !admin => {
            Ok(Some(redirect_with_flash(person, Flash::ok("You’re no administrator any more."), urls::ACCOUNT)))
        }
        Ok(_) => Ok(Some(redirect_with_flash(person, Flash::ok(typed.edit.saved()), &urls::console_user(id)))),
        Err(ManageError::Changed) => Ok(None),
        Err(ManageError::NeedsAdoption { .. }) => {
            adoption::ask(form, &user, "", &["name", "email", "email_verified", "admin"]).await.map(Some)
        }
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            again(status, DetailsForm { errors, ..typed }).await
        }
    }
}

/// Returns the form with the stored details.
pub(super) fn details(user: &User) -> DetailsForm {
    DetailsForm {
        name: user.profile.name.clone().unwrap_or_default(),
        email: user.profile.email.clone().unwrap_or_default(),
        email_verified: user.profile.email_verified,
        admin: user.admin,
        ..DetailsForm::default()
    }
}

pub async fn set_groups(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["new_groups"])?;
    let sent = SubmittedForm::read(person, form.fields(), &EditTarget::User(id), &urls::console_user(id))?;
    edit::save(person, || try_set_groups(&form, id, &sent)).await
}

/// Returns `None` if the groups were changed while the form was being saved.
async fn try_set_groups(form: &AdminForm, id: UserId, sent: &SubmittedForm<'_>) -> Result<Option<Response>, PageError> {
    let person = &form.signed_in;
    let (user, present) = (found(person, id).await?, present_groups(person, id).await?);
    let picker = |groups| GroupsForm { groups, ..GroupsForm::default() };
    let stored = picker(groups::picker(person, "groups", &present, "").await?);
    let new_groups = form.text("new_groups").to_owned();
    let typed = GroupsForm { new_groups, ..picker(groups::typed(form, "groups").await?) };
    let typed = edit::merge(person, sent, &EditTarget::User(id), &stored, typed).await?;
    let (status, errors) = match groups_of(&typed.groups, &typed.new_groups) {
        _ if groups::is_search(form) => (StatusCode::OK, Vec::new()),
        _ if typed.edit.is_conflict() => (StatusCode::CONFLICT, Vec::new()),
        Err(errors) => (INVALID, errors),
        Ok(groups) if form.ticked("adopt") && user.self_registered => {
            let adoption = Adoption { groups: Some(Revision::of(present, groups)), ..Adoption::default() };
            return adoption::adopt(person, &user, adoption).await;
        }
        Ok(groups) => {
            let revision = Revision::of(present, groups);
            match manage::set_groups(&person.app().manager(), &person.by(), id, revision).await {
                Ok(_) => {
                    let flash = Flash::ok("The groups are saved.");
                    return Ok(Some(redirect_with_flash(person, flash, &urls::console_user(id))));
                }
                Err(ManageError::Changed) => return Ok(None),
                Err(ManageError::NeedsAdoption { .. }) => {
                    return adoption::ask(form, &user, "/groups", &["groups", "new_groups"]).await.map(Some);
                }
                Err(error) => form_errors(person, error)?,
            }
        }
    };
    let groups = GroupsForm { errors, ..typed };
    Ok(Some(rerender(status, &UserPage { groups, ..page(person, &user).await? })))
}

/// Returns the names of the user's groups, sorted.
pub(super) async fn present_groups(person: &SignedIn, id: UserId) -> Result<Vec<String>, PageError> {
    let found = users::groups_of(person.app().store().read(), id).await;
    let mut names = found.map_err(|error| person.error(error))?;
    // The order of names depends on the database engine.
    names.sort();
    Ok(names)
}

impl Editable for DetailsForm {
    fn fields(&self) -> Vec<FormField> {
        // Email address and verification are one field: the administrator confirms the address that the form
        // shows.
        let verified =
            if self.email_verified && !self.email.trim().is_empty() { "\nIt’s known to be theirs" } else { "" };
        let email = format!("{}{verified}", self.email.trim());
        vec![
            FormField::text("name", "Name", &self.name),
            FormField::text("email", "Email", &email).recorded(&["email", "email_verified"]),
            FormField::flag("admin", "Administrator", self.admin),
        ]
    }

    fn take(&mut self, field: &str, other: &Self) {
        match field {
            "name" => self.name.clone_from(&other.name),
            "email" => {
                self.email.clone_from(&other.email);
                self.email_verified = other.email_verified;
            }
            _ => self.admin = other.admin,
        }
    }

    fn edit_mut(&mut self) -> &mut EditState {
        &mut self.edit
    }
}

impl Editable for GroupsForm {
    fn fields(&self) -> Vec<FormField> {
        let new = self.new_groups.split(',').map(str::trim).filter(|name| !name.is_empty());
        let all: Vec<&str> = self.groups.ticked().chain(new).collect();
        vec![FormField::set("groups", "Groups", &all)]
    }

    fn take(&mut self, _: &str, other: &Self) {
        self.groups.clone_from(&other.groups);
        self.new_groups.clone_from(&other.new_groups);
    }

    fn edit_mut(&mut self) -> &mut EditState {
        &mut self.edit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::edit::assert_takes_every_field;

    #[test]
    fn every_detail_is_merged() {
        let text = || "other".to_owned();
        let other =
            DetailsForm { name: text(), email: text(), email_verified: true, admin: true, ..DetailsForm::default() };
        assert_takes_every_field(&DetailsForm::default(), &other);
        let other = GroupsForm { new_groups: text(), ..GroupsForm::default() };
        assert_takes_every_field(&GroupsForm::default(), &other);
    }
}
