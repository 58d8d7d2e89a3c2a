//! The fenced blocks of a Markdown document, each with the paragraphs around it.

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The line of the document on which the block's text begins, counted from 1.
    pub line: usize,
    /// The first word of the info string.
    pub language: String,
    /// Without the fences and their indentation.
    pub text: String,
    /// The paragraph before it, on one line.
    before: String,
    /// The paragraph after it, on one line.
    after: String,
    /// The reason in `<!-- not run: REASON -->` before it.
    pub not_run: Option<String>,
}

/// Returns the fenced blocks of `document` in their order.
pub fn blocks(document: &str) -> Vec<Block> {
    let lines: Vec<&str> = document.lines().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let Some(info) = lines[at].trim_start().strip_prefix("```") else {
            at += 1;
            continue;
        };
        let indent = lines[at].len() - lines[at].trim_start().len();
        let length = lines[at + 1..].iter().position(|line| line.trim_start().starts_with("```"));
        let end = at + 1 + length.unwrap_or_else(|| panic!("line {}: the block does not end", at + 1));
        let text: String = lines[at + 1..end].iter().flat_map(|line| [unindented(line, indent), "\n"]).collect();
        let (before, not_run) = paragraph_before(&lines[..at]);
        found.push(Block {
            line: at + 2,
            language: info.split_whitespace().next().unwrap_or_default().to_owned(),
            text,
            before,
            after: paragraph(lines[end + 1..].iter().copied()),
            not_run,
        });
        at = end + 1;
    }
    found
}

impl Block {
    /// The file that the reader is told to write with this text: "Write `orders.json`:", or "…; write `orders.json`:".
    pub fn file(&self) -> Option<&str> {
        let (_, told) = self.before.rsplit_once("rite `")?;
        let (name, rest) = told.split_once('`')?;
        (rest.ends_with(':') && !rest.contains(". ")).then_some(name)
    }

    /// Whether the reader is told that the command goes on: "Leave it running".
    pub fn is_left_running(&self) -> bool {
        self.after.starts_with("Leave ") && self.after.contains(" running")
    }
}

fn unindented(line: &str, indent: usize) -> &str {
    let blank = line.len() - line.trim_start().len();
    line.get(blank.min(indent)..).unwrap_or_default()
}

/// The first paragraph of `lines`, after empty ones.
fn paragraph<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines = lines.map(str::trim).skip_while(|line| line.is_empty());
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The paragraph that ends before a fence, and the mark between the two.
fn paragraph_before(lines: &[&str]) -> (String, Option<String>) {
    let mut lines = lines;
    let mut not_run = None;
    while let [rest @ .., last] = lines {
        let last = last.trim();
        let mark = last.strip_prefix("<!-- not run: ").and_then(|mark| mark.strip_suffix(" -->"));
        if mark.is_none() && !last.is_empty() {
            break;
        }
        not_run = not_run.or_else(|| mark.map(str::to_owned));
        lines = rest;
    }
    let start = lines.iter().rposition(|line| line.trim().is_empty()).map_or(0, |blank| blank + 1);
    (paragraph(lines[start..].iter().copied()), not_run)
}
