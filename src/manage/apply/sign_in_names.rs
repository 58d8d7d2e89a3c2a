//! Compares the names that the users of a document sign in with, as a whole before the first transaction. Thus
//! no part is rejected for a name that an earlier part has taken, and a dry run rejects what applying would
//! reject.
//!
//! Usernames and email addresses share one namespace (`store::sign_in_names`). See also [`super::parts`], which
//! puts [`LinkedRows`] into one transaction, and [`super::user_rows`], which makes the final decision in it.

use std::collections::{HashMap, HashSet};

use crate::domain::user::{User, Username};
use crate::manage::document::UserRow;
use crate::manage::{FieldError, Manager, Result};
use crate::store::users;

/// The number of names in one statement.
const NAMES_PER_QUERY: usize = 500;

/// The result of the comparison.
#[derive(Debug, Default)]
pub(super) struct SignInNameCheck {
    /// The errors of rows that name what another user signs in with.
    pub taken: Vec<FieldError>,
    pub exchanges: LinkedRows,
}

/// Rows that are applied in one transaction, because one takes a name that the user of another one gives up in
/// the same document. In separate transactions, the first of them could find its new name still taken.
#[derive(Debug, Default)]
pub(super) struct LinkedRows {
    /// Maps each row but the first of an exchange to an earlier row of it.
    earlier: HashMap<usize, usize>,
}

impl LinkedRows {
    /// Returns the first row of the exchange that a row belongs to, or the row itself.
    pub fn first(&mut self, mut row: usize) -> usize {
        while let Some(earlier) = self.earlier.get(&row).copied() {
            // Path compression, for the next call.
            if let Some(before) = self.earlier.get(&earlier).copied() {
                self.earlier.insert(row, before);
            }
            row = earlier;
        }
        row
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        if one != other {
            self.earlier.insert(one.max(other), one.min(other));
        }
    }
}

/// Compares the users of a document with one another and with the stored users.
///
/// # Errors
/// Returns an error if the database does not respond.
pub(super) async fn compared(manager: &Manager, rows: &[UserRow]) -> Result<SignInNameCheck> {
    let store = &manager.store;
    // Read before the users, so that a user who is added in between is found and not taken for another user.
    let mut taken = HashSet::new();
    for rows in rows.chunks(NAMES_PER_QUERY) {
        let emails: Vec<String> =
            rows.iter().filter_map(|row| row.profile.email.as_deref()).map(Username::folded).collect();
        let usernames = rows.iter().map(|row| row.username.as_str());
        let names: Vec<&str> = usernames.chain(emails.iter().map(String::as_str)).collect();
        taken.extend(users::taken_names(store.read(), &names, None).await?);
    }
    let mut known = HashMap::new();
    for rows in rows.chunks(NAMES_PER_QUERY) {
        let names: Vec<&Username> = rows.iter().map(|row| &row.username).collect();
        known.extend(users::by_usernames(store.read(), &names).await?);
    }
    Ok(compare(rows, &known, &taken))
}

/// Returns whether the email address of a row's user is unverified, given the stored user.
pub(super) fn is_email_unconfirmed(row: &UserRow, before: Option<&User>) -> bool {
    let is_so = before.is_some_and(|user| user.email_unconfirmed && user.profile.email == row.profile.email);
    row.email_unproven.unwrap_or(is_so)
}

/// Returns the email address that the user will sign in with ([`User::sign_in_email`]).
pub(super) fn own_email<'a>(row: &'a UserRow, before: Option<&User>) -> Option<&'a str> {
    let vouched_for = row.profile.email_verified || !is_email_unconfirmed(row, before);
    row.profile.email.as_deref().filter(|_| vouched_for)
}

/// Returns whether the row is rejected because it verifies `email` in a self-registered account. The name is
/// left to that error, because the row may mean another user.
fn needs_adoption(row: &UserRow, before: Option<&User>, email: &str) -> bool {
    let named_as_is = row.adopt || row.self_registered == Some(true);
    !named_as_is && before.is_some_and(|user| user.self_registered && user.sign_in_email() != Some(email))
}

/// A name that a row's user will sign in with.
struct WantedName {
    row: usize,
    field: &'static str,
    name: String,
}

/// Compares the rows; `known` are the stored users of the document, `taken` the names in use.
fn compare(rows: &[UserRow], known: &HashMap<Username, User>, taken: &HashSet<String>) -> SignInNameCheck {
    let (mut wanted, mut owners, mut seen) = (Vec::new(), HashMap::new(), HashSet::new());
    // A second row of the same username has its own error.
    for (row, user) in rows.iter().enumerate().filter(|(_, user)| seen.insert(&user.username)) {
        let before = known.get(&user.username);
        owners.extend(before.into_iter().flat_map(User::sign_in_names).map(|name| (name, row)));
        wanted.push(WantedName { row, field: "username", name: user.username.to_string() });
        let email = own_email(user, before).filter(|email| !needs_adoption(user, before, email));
        wanted.extend(email.map(|email| WantedName { row, field: "email", name: Username::folded(email) }));
    }
    // Of several rows with one name, the row whose user already has it keeps it, or else the first row.
    let mut keepers: HashMap<&str, usize> = HashMap::new();
    let has_it = |wanted: &&WantedName| owners.get(&wanted.name) == Some(&wanted.row);
    for wanted in wanted.iter().filter(has_it).chain(&wanted) {
        keepers.entry(&wanted.name).or_insert(wanted.row);
    }
    let mut names = SignInNameCheck::default();
    for WantedName { row, field, name } in &wanted {
        let keeper = keepers.get(name.as_str()).copied().filter(|keeper| keeper != row);
        let problem = match (keeper, owners.get(name)) {
            (Some(keeper), _) => format!("users[{keeper}] signs in with {name} too"),
            (None, Some(owner)) => {
                names.exchanges.join(*row, *owner);
                continue;
            }
            (None, None) if taken.contains(name) && *field == "email" => format!("another user has {name} already"),
            (None, None) if taken.contains(name) => format!("another user signs in with {name} already"),
            (None, None) => continue,
        };
        names.taken.push(FieldError::new(format!("users[{row}].{field}"), problem));
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::{Value, json};

    use super::{SignInNameCheck, compare};
    use crate::domain::ids::UserId;
    use crate::domain::user::{Profile, User, Username};
    use crate::env::Timestamp;
    use crate::manage::document::{Document, DocumentFormat};

    fn user(name: &str, email: &str, email_unproven: bool) -> User {
        User {
            id: UserId(uuid::Uuid::nil()),
            username: Username::parse(name).unwrap(),
            profile: Profile { email: Some(email.to_owned()), ..Profile::default() },
            email_unconfirmed: email_unproven,
            password: None,
            password_changed_at: None,
            admin: false,
            disabled: false,
            self_registered: email_unproven,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    /// Compares the rows; `there` are the stored users of the document. Another user signs in with
    /// `other@x.example`.
    fn compared(rows: &Value, there: Vec<User>) -> SignInNameCheck {
        let document = Document::parse(&json!({ "users": rows }).to_string(), DocumentFormat::Json).unwrap();
        let names = there.iter().flat_map(User::sign_in_names).chain(["other@x.example".to_owned()]);
        let taken: HashSet<String> = names.collect();
        let known: HashMap<_, _> = there.into_iter().map(|user| (user.username.clone(), user)).collect();
        compare(&document.users, &known, &taken)
    }

    fn fields(names: &SignInNameCheck) -> Vec<&str> {
        names.taken.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn rows_with_names_of_other_users_are_reported() {
        let rows = json!([
            { "username": "a", "email": "A@x.example" },
            { "username": "b", "email": "a@x.example" },
            { "username": "a@X.example" },
            { "username": "c", "email": "other@x.example" },
            { "username": "d", "email": "a@x.example", "email_unproven": true },
            { "username": "e", "email": "a@x.example", "email_unproven": true, "email_verified": true },
            { "username": "f@x.example", "email": "F@x.example" },
        ]);
        let all = ["users[1].email", "users[2].username", "users[3].email", "users[5].email"];
        assert_eq!(fields(&compared(&rows, Vec::new())), all);
        // The user who has the address keeps it; entering it at sign-up does not count.
        let rows = json!([{ "username": "a", "email": "b@x.example" }, { "username": "b", "email": "b@x.example" }]);
        assert_eq!(fields(&compared(&rows, vec![user("b", "b@x.example", false)])), ["users[0].email"]);
        assert!(compared(&rows, vec![user("b", "b@x.example", true)]).taken.is_empty());
    }

    #[test]
    fn a_row_that_needs_adoption_is_not_refused_for_its_name() {
        let row = |member: &str| {
            let mut row = json!({ "username": "a", "email": "other@x.example", "email_verified": true });
            row[member] = json!(true);
            json!([row])
        };
        let there = || vec![user("a", "other@x.example", true)];
        assert!(compared(&row("email_verified"), there()).taken.is_empty());
        for member in ["adopt", "self_registered"] {
            assert_eq!(fields(&compared(&row(member), there())), ["users[0].email"], "{member}");
        }
    }

    #[test]
    fn rows_that_swap_emails_are_linked() {
        let address = |name: &str| format!("{name}@x.example");
        let row = |(name, email): (&str, &str)| json!({ "username": name, "email": address(email) });
        let wanted = [("a", "b"), ("b", "d"), ("c", "c"), ("d", "a"), ("e", "new"), ("f", "e")];
        let there = ["a", "b", "c", "d", "e"].map(|name| user(name, &address(name), false));
        let mut names = compared(&wanted.map(row).into_iter().collect(), there.into());
        assert!(names.taken.is_empty());
        assert_eq!([0, 1, 2, 3, 4, 5].map(|row| names.exchanges.first(row)), [0, 0, 2, 0, 4, 4]);
    }
}
