//! Groups in the console's forms ([`GroupPicker`]): which boxes a form shows, and which button has sent it. A form that was
//! sent to search comes back with what was found, and says that nothing is saved yet.

use super::views::Choice;
use super::views::groups::GroupPicker;
use crate::domain::user::group_name;
use crate::store::users;
use crate::web::error::PageError;
use crate::web::extract::{AdminForm, SignedIn};
use crate::web::view::visible;

/// So many groups are all shown; more are searched.
const MAX_BOXES: usize = 12;
/// What a search shows at most.
const MAX_FOUND: usize = 20;

/// The text field and the button of the search, and the hidden field with the search that the form shows already.
const QUERY: &str = "group_q";
const BUTTON: &str = "find_groups";
const SHOWN: &str = "group_q_shown";
/// The value of [`BUTTON`] where Enter was pressed in any field, which presses the first button of a form
/// (`parts::enter_sends`).
const ENTER: &str = "enter";

/// Returns whether the form asks for groups to be shown rather than for anything to be saved: by the button of the search, or
/// by Enter while the field has a text that was not searched for yet. Other buttons save, whatever the field has.
pub fn is_search(form: &AdminForm) -> bool {
    match form.text(BUTTON) {
        "" => false,
        ENTER => {
            let query = form.text(QUERY).trim();
            !query.is_empty() && query != form.text(SHOWN).trim()
        }
        _ => true,
    }
}

/// The picker of a form that was sent.
pub async fn typed(form: &AdminForm, field: &'static str) -> Result<GroupPicker, PageError> {
    let picker = picker(&form.signed_in, field, &form.all(field), form.text(QUERY).trim()).await?;
    Ok(GroupPicker { was_searched: is_search(form), ..picker })
}

/// The picker with these groups ticked. One that is ticked and that there is none of is shown, so that it can be unticked.
pub async fn picker(
    person: &SignedIn,
    field: &'static str,
    ticked: &[String],
    query: &str,
) -> Result<GroupPicker, PageError> {
    let all = users::all_groups(person.app().store().read()).await.map_err(|error| person.error(error))?;
    let has_search = all.len() > MAX_BOXES;
    let needle = query.to_lowercase();
    let is_found = |name: &String| !query.is_empty() && name.to_lowercase().contains(&needle);
    let hits = all.iter().filter(|name| is_found(name)).count();
    let mut shown = 0;
    let mut boxes: Vec<Choice> = Vec::new();
    for name in &all {
        let selected = ticked.contains(name);
        let listed = !has_search || (is_found(name) && shown < MAX_FOUND);
        shown += usize::from(listed && has_search);
        if selected || listed {
            boxes.push(Choice { value: name.clone(), label: visible(name), selected });
        }
    }
    for name in ticked.iter().filter(|name| !all.contains(name) && group_name(name).is_ok()) {
        let label = format!("{} (there is no such group)", visible(name));
        boxes.push(Choice { value: name.clone(), label, selected: true });
    }
    let found = match hits {
        _ if query.is_empty() => format!("{} groups", all.len()),
        0 => "No group has that in its name.".to_owned(),
        hits if hits > MAX_FOUND => format!("{hits} groups found, the first {MAX_FOUND} are shown"),
        1 => "1 group found".to_owned(),
        hits => format!("{hits} groups found"),
    };
    Ok(GroupPicker { field, boxes, has_search, was_searched: false, query: query.to_owned(), found })
}
