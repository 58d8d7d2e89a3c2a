//! Generates docs/configuration.md from the comments and defaults of this folder, so that they always agree.
//! The test fails if the file is out of date; `UPDATE_DOCS=1 cargo test configuration_reference` writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{
    Config, DatabaseUrl, EncodedMasterKey, Issuer, LanguageList, ListenAddress, NameServers, NetworkList,
    OutboundAllow, Rfc3339Time, UriList,
};

const SOURCES: [&str; 6] = [
    include_str!("mod.rs"),
    include_str!("connections.rs"),
    include_str!("lifetimes.rs"),
    include_str!("quotas.rs"),
    include_str!("registration.rs"),
    include_str!("security_txt.rs"),
];
const INTRODUCTION: &str = "# Configuration\n\n\
    <!-- Made from src/config by `UPDATE_DOCS=1 cargo test configuration_reference`; change it there. -->\n\n\
    Nothing is required: the defaults run. Settings stand in `signet.toml` in the working directory (or the file that \
    `--config` or\n`SIGNET_CONFIG` names), and an environment variable comes before the file. A list is a TOML array, or \
    one text with commas. An\nunknown key is an error that names it; `signet doctor` says what is wrong and how to mend \
    it.\n\n\
    An environment variable without a value counts as not set. Booleans are `true`, `false`, `1` or `0` in any letter case. \
    What\nKubernetes and Docker put into containers beside a service called `signet` or `signet-…` is ignored \
    (`SIGNET_SERVICE_*`,\n`SIGNET_PORT*` and the like).\n";

impl Serialize for Issuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// These settings have no default value to show.
macro_rules! without_default {
    ($($name:ident)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_none()
            }
        }
    )+};
}
without_default!(DatabaseUrl LanguageList EncodedMasterKey NameServers NetworkList OutboundAllow Rfc3339Time UriList);

struct SettingField {
    name: String,
    kind: String,
    comment: String,
}

struct SettingSection {
    comment: String,
    fields: Vec<SettingField>,
}

/// Returns every `pub struct` with named fields, by name. It relies on the formatting of rustfmt.
fn sections() -> BTreeMap<String, SettingSection> {
    let mut found = BTreeMap::new();
    for source in SOURCES {
        let (mut comment, mut open): (Vec<&str>, Option<(String, SettingSection)>) = (Vec::new(), None);
        for line in source.lines() {
            let text = line.trim();
            if let Some(words) = text.strip_prefix("/// ") {
                comment.push(words);
                continue;
            }
            if text.starts_with("#[") {
                continue;
            }
            let said = std::mem::take(&mut comment).join(" ");
            if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
                open = Some((name.to_owned(), SettingSection { comment: said, fields: Vec::new() }));
            } else if line == "}" {
                found.extend(open.take());
            } else if let Some((_, section)) = &mut open
                && let Some((name, kind)) = text.strip_prefix("pub ").and_then(|rest| rest.split_once(": "))
            {
                let (name, kind) = (name.to_owned(), kind.trim_end_matches(',').to_owned());
                section.fields.push(SettingField { name, kind, comment: said });
            }
        }
    }
    found
}

fn row(path: &[&str], field: &SettingField, default: &Value) -> String {
    let key = path.join(".");
    assert!(!field.comment.is_empty(), "{key} has no comment");
    let default = match default {
        Value::Null => "none".to_owned(),
        Value::Bool(on) => format!("`{on}`"),
        Value::String(text) => format!("`{text}`"),
        Value::Number(seconds) => format!("`{seconds}`{}", duration(seconds.as_i64().unwrap_or_default())),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            format!("`{}`", texts.join(", "))
        }
        other @ Value::Object(_) => panic!("{key} has the default {other}: say here how it is shown"),
    };
    // The backticks that a rustdoc lint requires around some names are not code.
    let comment = field.comment.replace("`SQLite`", "SQLite").replace('|', "\\|");
    format!("| `{key}` | `SIGNET_{}` | {default} | {comment} |\n", path.join("__").to_uppercase())
}

fn duration(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0) else {
        return String::new();
    };
    let count = seconds / unit;
    format!(" ({count} {name}{})", if count == 1 { "" } else { "s" })
}

fn reference() -> String {
    const HEADING: &str = "\n| key | variable | default | meaning |\n| --- | --- | --- | --- |\n";
    let sections = sections();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let (mut top, mut below) = (HEADING.to_owned(), String::new());
    for field in &sections["Config"].fields {
        let Some(section) = sections.get(&field.kind).filter(|_| defaults[&field.name].is_object()) else {
            top += &row(&[&field.name], field, &defaults[&field.name]);
            continue;
        };
        let comment = if field.comment.is_empty() { &section.comment } else { &field.comment };
        write!(below, "\n## `[{}]`\n\n{comment}\n{HEADING}", field.name).unwrap();
        for inner in &section.fields {
            below += &row(&[&field.name, &inner.name], inner, &defaults[&field.name][&inner.name]);
        }
    }
    format!("{INTRODUCTION}{top}{below}")
}

#[test]
fn configuration_reference_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let reference = reference();
    for key in serde_json::to_value(Config::default()).unwrap().as_object().unwrap().keys() {
        assert!(reference.contains(&format!("`{key}`")) || reference.contains(&format!("`[{key}]`")), "{key}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &reference).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == reference, "docs/configuration.md is old: UPDATE_DOCS=1 cargo test configuration_reference");
}
