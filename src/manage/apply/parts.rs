//! Divides a document into the parts that are applied together, in the order in which they must be applied.
//!
//! Groups come first, because users are members of them. Administrators come before other users, so that an
//! administrator who is demoted is never the last one. APIs come before clients, which reference their scopes.
//! Deletions come last. Users who exchange email addresses stay together; if not all of them are
//! administrators, they come between the two kinds.

use std::collections::BTreeMap;

use super::Surplus;
use super::sign_in_names::LinkedRows;
use crate::domain::api::Api;
use crate::manage::document::{ClientRow, Document, UserRow};
use crate::manage::{Result, groups};

/// A document of up to this number of rows is applied in one transaction.
pub(super) const MAX_ROWS_PER_TRANSACTION: usize = 500;
/// The maximum number of rows in each part of a longer document. The transaction of a part delays sign-ins by a
/// fraction of a second. Only an exchange of email addresses may have more rows, because it cannot be divided.
const ROWS_PER_PART: usize = 250;

/// The work of one transaction. Each row has its index in the document.
#[derive(Clone, Debug, Default)]
pub(super) struct DocumentPart {
    pub groups: Vec<String>,
    pub users: Vec<(usize, UserRow)>,
    pub apis: Vec<(usize, Api)>,
    pub clients: Vec<(usize, ClientRow)>,
    pub surplus: Surplus,
    /// Whether later parts depend on this one: the dry run of a later part repeats it first.
    pub is_basis: bool,
}

impl DocumentPart {
    pub fn rows(&self) -> usize {
        let Surplus { users, clients, apis, groups } = &self.surplus;
        let deleted = users.len() + clients.len() + apis.len() + groups.len();
        self.groups.len() + self.users.len() + self.apis.len() + self.clients.len() + deleted
    }
}

/// Users who are applied together: one, or all of an exchange.
type Unit = Vec<(usize, UserRow)>;

/// Divides a document.
///
/// # Errors
/// Returns an error if a user is in a group with an invalid name.
pub(super) fn divide(document: Document, surplus: Surplus, exchanges: LinkedRows) -> Result<Vec<DocumentPart>> {
    let mut users: Unit = document.users.into_iter().enumerate().collect();
    let whole = DocumentPart {
        groups: document.groups.into_iter().map(|row| row.name).collect(),
        users: Vec::new(),
        apis: document.apis.into_iter().enumerate().collect(),
        clients: document.clients.into_iter().enumerate().collect(),
        surplus,
        is_basis: false,
    };
    if whole.rows() + users.len() <= MAX_ROWS_PER_TRANSACTION {
        administrators_first(&mut users);
        return Ok(vec![DocumentPart { users, ..whole }]);
    }
    let mut names = whole.groups;
    names.extend(users.iter().flat_map(|(_, row)| row.groups.iter().cloned()));
    let [admins, mixed, others] = units(users, exchanges);
    let (is_basis, none) = (true, DocumentPart::default);
    let mut parts = Vec::new();
    parts.extend(chunks(groups::checked(&names)?).map(|groups| DocumentPart { groups, is_basis, ..none() }));
    parts.extend(packed(admins).into_iter().chain(packed(mixed)).map(|users| DocumentPart {
        users,
        is_basis,
        ..none()
    }));
    parts.extend(packed(others).into_iter().map(|users| DocumentPart { users, ..none() }));
    // In one part, because the rules of one API may reference another.
    if !whole.apis.is_empty() {
        parts.push(DocumentPart { apis: whole.apis, is_basis, ..none() });
    }
    parts.extend(chunks(whole.clients).map(|clients| DocumentPart { clients, ..none() }));
    let Surplus { users, clients, apis, groups } = whole.surplus;
    let deleting = |surplus| DocumentPart { surplus, ..none() };
    parts.extend(chunks(users).map(|users| deleting(Surplus { users, ..Surplus::default() })));
    parts.extend(chunks(clients).map(|clients| deleting(Surplus { clients, ..Surplus::default() })));
    parts.extend(chunks(apis).map(|apis| deleting(Surplus { apis, ..Surplus::default() })));
    parts.extend(chunks(groups).map(|groups| deleting(Surplus { groups, ..Surplus::default() })));
    Ok(parts)
}

/// Returns the units of administrators only, those of administrators and other users, and those without
/// administrators.
fn units(users: Unit, mut exchanges: LinkedRows) -> [Vec<Unit>; 3] {
    let mut units: BTreeMap<usize, Unit> = BTreeMap::new();
    for (at, row) in users {
        units.entry(exchanges.first(at)).or_default().push((at, row));
    }
    let (mut admins, mut mixed, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for unit in units.into_values() {
        if unit.iter().all(|(_, row)| row.admin) {
            admins.push(unit);
        } else if unit.iter().any(|(_, row)| row.admin) {
            mixed.push(unit);
        } else {
            others.push(unit);
        }
    }
    [admins, mixed, others]
}

/// Combines units as long as they fit into one part.
fn packed(units: Vec<Unit>) -> Vec<Unit> {
    let mut parts: Vec<Unit> = Vec::new();
    for unit in units {
        match parts.last_mut() {
            Some(part) if part.len() + unit.len() <= ROWS_PER_PART => part.extend(unit),
            _ => parts.push(unit),
        }
    }
    for part in &mut parts {
        administrators_first(part);
    }
    parts
}

/// Moves administrators to the front and otherwise keeps the order of the document.
fn administrators_first(users: &mut [(usize, UserRow)]) {
    users.sort_by_key(|(_, row)| !row.admin);
}

fn chunks<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter().peekable();
    std::iter::from_fn(move || {
        rows.peek()?;
        Some(rows.by_ref().take(ROWS_PER_PART).collect())
    })
}
