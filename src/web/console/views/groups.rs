//! Choosing groups in a form: boxes where there are few, a search where there are many. The names that are ticked stay ticked
//! while somebody searches. `templates/console/parts.html` draws it.

use super::Choice;

/// The groups of a form, one box each.
#[derive(Clone, Debug, Default)]
pub struct GroupPicker {
    /// The name of the boxes: `groups` or `allowed_groups`.
    pub field: &'static str,
    pub boxes: Vec<Choice>,
    /// Whether there are more groups than boxes, so that the others are searched for.
    pub has_search: bool,
    /// Whether the form was sent to search, so that nothing of it is saved yet.
    pub was_searched: bool,
    /// What was searched for.
    pub query: String,
    /// What the search came to, in words.
    pub found: String,
}

impl GroupPicker {
    pub fn ticked(&self) -> impl Iterator<Item = &str> {
        self.boxes.iter().filter(|group| group.selected).map(|group| group.value.as_str())
    }
}
