//! Forms as a browser sends them: every field with what is in it, boxes where they are ticked.

use scraper::{ElementRef, Html, Selector};

use super::{Browser, Page};

impl Page {
    /// The first form that fits `selector`: its address and its fields, `changes` made to them. A change whose name begins
    /// with `-` takes the field out, as a box that is not ticked is.
    pub fn filled(&self, selector: &str, changes: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let html = Html::parse_document(&self.html);
        let form = html.select(&Selector::parse(selector).unwrap()).next().expect("a form");
        let controls = Selector::parse("input, textarea, select").unwrap();
        let mut fields: Vec<(String, String)> = form
            .select(&controls)
            .filter_map(|control| Some((control.attr("name")?.to_owned(), value(control)?)))
            .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed.trim_start_matches('-') == name))
            .collect();
        fields
            .extend(changes.iter().filter(|(name, _)| !name.starts_with('-')).map(|(a, b)| ((*a).into(), (*b).into())));
        (form.attr("action").unwrap_or(&self.path).to_owned(), fields)
    }

    /// What a field holds.
    pub fn value(&self, selector: &str) -> String {
        let html = Html::parse_document(&self.html);
        html.select(&Selector::parse(selector).unwrap()).next().and_then(value).unwrap_or_default()
    }

    /// What is to be read there, each piece a word apart from the next.
    pub fn text(&self, selector: &str) -> String {
        let html = Html::parse_document(&self.html);
        let found = html.select(&Selector::parse(selector).unwrap()).next();
        let pieces: Vec<&str> = found.iter().flat_map(ElementRef::text).flat_map(str::split_whitespace).collect();
        pieces.join(" ")
    }

    pub fn count(&self, selector: &str) -> usize {
        Html::parse_document(&self.html).select(&Selector::parse(selector).unwrap()).count()
    }
}

fn value(control: ElementRef<'_>) -> Option<String> {
    match (control.value().name(), control.attr("type").unwrap_or_default()) {
        ("input", "checkbox" | "radio") => control.attr("checked").and(control.attr("value")).map(ToOwned::to_owned),
        ("input", _) => Some(control.attr("value").unwrap_or_default().to_owned()),
        ("textarea", _) => Some(control.text().collect()),
        _ => {
            let chosen = control.select(&Selector::parse("option[selected]").unwrap()).next();
            let chosen = chosen.or_else(|| control.select(&Selector::parse("option").unwrap()).next());
            chosen.and_then(|option| option.attr("value")).map(ToOwned::to_owned)
        }
    }
}

impl Browser {
    /// Sends the form that fits `selector` as a person would, with `changes`, and follows to the page it leads to.
    pub async fn fill(&self, page: &Page, selector: &str, changes: &[(&str, &str)]) -> Page {
        let (action, fields) = page.filled(selector, changes);
        self.follow(self.raw_post(&action, &fields).await).await.expect("a page")
    }

    /// Presses the button that posts to `path`, on the page `on`.
    pub async fn press(&self, on: &str, path: &str) -> Page {
        let page = self.page(on).await;
        self.fill(&page, &format!("form[action='{path}']"), &[]).await
    }
}
