//! Settings that are lists: a TOML array, or one string as in an environment variable. The string has commas
//! between its items, or is an array itself.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};

/// A list of strings, such as names and addresses.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Texts(#[serde(deserialize_with = "texts")] pub(super) Vec<String>);

pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(ListVisitor { parse_text: |text| Ok(items(text)), marker: PhantomData })
}

/// Reads a list of tables, such as `[{ issuer = "…", jwks_uri = "…" }]`.
pub(super) fn tables<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(ListVisitor { parse_text: array, marker: PhantomData })
}

fn items(text: &str) -> Vec<String> {
    if let Ok(items) = array(text) {
        return items;
    }
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn array<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    let read: Result<BTreeMap<String, Vec<T>>, _> = toml::from_str(&format!("list = {text}"));
    let read = read.map_err(|error| format!("is no TOML array: {}", error.message().trim()))?;
    Ok(read.into_values().next().unwrap_or_default())
}

struct ListVisitor<T> {
    parse_text: fn(&str) -> Result<Vec<T>, String>,
    marker: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array, or one text with commas")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        (self.parse_text)(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq))
    }
}
