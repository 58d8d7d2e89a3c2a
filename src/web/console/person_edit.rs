//! `/admin/people/{id}`: saving what was typed of a user, the details and the groups, each a form that others may have saved
//! meanwhile ([`crate::web::edit`]). Next door: [`super::person`], the page and the rest of it.

use axum::http::StatusCode;
use axum::response::Response;

use super::people::{self as list, groups_of};
use super::person::{INVALID, found, page};
use super::views::people::{DetailsForm, GroupsForm, PersonPage};
use super::{adoption, again, groups, refused, then};
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::manage::people::{self as manage, Adoption, PersonEdit};
use crate::manage::{ManageError, Revision};
use crate::store::people;
use crate::web::edit::{self, About, Edit, Editable, Field, Sent};
use crate::web::error::PageError;
use crate::web::extract::{AdminForm, InPath, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;

pub async fn save(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    form.complete(&["name", "email"])?;
    let sent = Sent::read(person, form.fields(), &About::Person(id), &urls::console_person(id))?;
    edit::save(person, || try_save(&form, id, &sent)).await
}

/// Returns `None` if the user was changed while the form was being saved.
async fn try_save(form: &AdminForm, id: UserId, sent: &Sent<'_>) -> Result<Option<Response>, PageError> {
    let person = &form.person;
    let user = found(person, id).await?;
    let typed = DetailsForm {
        name: form.text("name").to_owned(),
        email: form.text("email").to_owned(),
        email_verified: form.ticked("email_verified"),
        admin: form.ticked("admin"),
        ..DetailsForm::default()
    };
    let typed = edit::merge(person, sent, &About::Person(id), &details(&user), typed).await?;
    let again = async |status, details| Ok(Some(again(status, &PersonPage { details, ..page(person, &user).await? })));
    if typed.edit.is_conflict() {
        return again(StatusCode::CONFLICT, typed).await;
    }
    let (present, admin) = (PersonEdit::present(&user), typed.admin);
    let profile = list::details((&typed.name, &typed.email, typed.email_verified), user.profile.clone());
    if form.ticked("adopt") && user.self_registered {
        let profile = Some(Revision::of(present.profile, profile));
        return adoption::adopt(person, &user, Adoption { profile, admin, ..Adoption::default() }).await;
    }
    let revision = Revision::of(present.clone(), PersonEdit { profile, admin, ..present });
    match manage::update(&person.app().manager(), &person.by(), id, revision).await {
        // Who gives the rights away has no page to come back to here.
        Ok(_) if id == person.user.id && !admin => {
            Ok(Some(then(person, Flash::ok("You’re no administrator any more."), urls::ACCOUNT)))
        }
        Ok(_) => Ok(Some(then(person, Flash::ok(typed.edit.saved()), &urls::console_person(id)))),
        Err(ManageError::Changed) => Ok(None),
        Err(ManageError::NeedsAdoption { .. }) => {
            adoption::ask(form, &user, "", &["name", "email", "email_verified", "admin"]).await.map(Some)
        }
        Err(error) => {
            let (status, errors) = refused(person, error)?;
            again(status, DetailsForm { errors, ..typed }).await
        }
    }
}

/// The details as they are.
pub(super) fn details(user: &User) -> DetailsForm {
    DetailsForm {
        name: user.profile.name.clone().unwrap_or_default(),
        email: user.profile.email.clone().unwrap_or_default(),
        email_verified: user.profile.email_verified,
        admin: user.admin,
        ..DetailsForm::default()
    }
}

pub async fn set_groups(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    form.complete(&["new_groups"])?;
    let sent = Sent::read(person, form.fields(), &About::Person(id), &urls::console_person(id))?;
    edit::save(person, || try_set_groups(&form, id, &sent)).await
}

/// Returns `None` if the groups were changed while the form was being saved.
async fn try_set_groups(form: &AdminForm, id: UserId, sent: &Sent<'_>) -> Result<Option<Response>, PageError> {
    let person = &form.person;
    let (user, present) = (found(person, id).await?, present_groups(person, id).await?);
    let picker = |groups| GroupsForm { groups, ..GroupsForm::default() };
    let stored = picker(groups::picker(person, "groups", &present, "").await?);
    let new_groups = form.text("new_groups").to_owned();
    let typed = GroupsForm { new_groups, ..picker(groups::typed(form, "groups").await?) };
    let typed = edit::merge(person, sent, &About::Person(id), &stored, typed).await?;
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
                    return Ok(Some(then(person, flash, &urls::console_person(id))));
                }
                Err(ManageError::Changed) => return Ok(None),
                Err(ManageError::NeedsAdoption { .. }) => {
                    return adoption::ask(form, &user, "/groups", &["groups", "new_groups"]).await.map(Some);
                }
                Err(error) => refused(person, error)?,
            }
        }
    };
    let groups = GroupsForm { errors, ..typed };
    Ok(Some(again(status, &PersonPage { groups, ..page(person, &user).await? })))
}

/// The names of the groups that a user is in, in order.
pub(super) async fn present_groups(person: &SignedIn, id: UserId) -> Result<Vec<String>, PageError> {
    let found = people::groups_of(person.app().store().read(), id).await;
    let mut names = found.map_err(|error| person.error(error))?;
    // Each engine sorts in its own way.
    names.sort();
    Ok(names)
}

impl Editable for DetailsForm {
    fn fields(&self) -> Vec<Field> {
        // One field: an administrator vouches for the address that the form shows.
        let verified =
            if self.email_verified && !self.email.trim().is_empty() { "\nIt’s known to be theirs" } else { "" };
        let email = format!("{}{verified}", self.email.trim());
        vec![
            Field::text("name", "Name", &self.name),
            Field::text("email", "Email", &email).recorded(&["email", "email_verified"]),
            Field::flag("admin", "Administrator", self.admin),
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

    fn edit_mut(&mut self) -> &mut Edit {
        &mut self.edit
    }
}

impl Editable for GroupsForm {
    fn fields(&self) -> Vec<Field> {
        let new = self.new_groups.split(',').map(str::trim).filter(|name| !name.is_empty());
        let all: Vec<&str> = self.groups.ticked().chain(new).collect();
        vec![Field::set("groups", "Groups", &all)]
    }

    fn take(&mut self, _: &str, other: &Self) {
        self.groups.clone_from(&other.groups);
        self.new_groups.clone_from(&other.new_groups);
    }

    fn edit_mut(&mut self) -> &mut Edit {
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
