//! Finds the line of a member in a document, for errors that are found only after the whole document was read:
//! the text is parsed again up to that member. See also [`super::document`], which names members by path
//! (`users[0].email`).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::document::DocumentFormat;

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathSegment<'a> {
    Name(&'a str),
    At(usize),
}

/// Returns the line of `field` or, if the field is absent, of a member of the row that lacks it.
pub fn line_of(text: &str, format: DocumentFormat, field: &str) -> Option<usize> {
    let path = steps(field);
    (1..=path.len()).rev().filter_map(|length| path.get(..length)).find_map(|path| found(text, format, path))
}

fn steps(field: &str) -> Vec<PathSegment<'_>> {
    let name = |text| PathSegment::Name(text);
    field
        .split('.')
        .flat_map(|part| match part.split_once('[') {
            Some((before, number)) => {
                vec![name(before), number.trim_end_matches(']').parse().map_or(name(part), PathSegment::At)]
            }
            None => vec![name(part)],
        })
        .collect()
}

/// Returns the line at which parsing stops at that path.
fn found(text: &str, format: DocumentFormat, path: &[PathSegment<'_>]) -> Option<usize> {
    match format {
        DocumentFormat::Json => {
            let mut reader = serde_json::Deserializer::from_str(text);
            PathSeed(path).deserialize(&mut reader).err().map(|stopped| stopped.line())
        }
        DocumentFormat::Toml => {
            let stopped = PathSeed(path).deserialize(toml::Deserializer::parse(text).ok()?).err()?;
            Some(text.get(..stopped.span()?.start)?.matches('\n').count() + 1)
        }
    }
}

/// Fails at the end of the path, so that the parser reports its position. Succeeds if the path does not exist.
struct PathSeed<'p>(&'p [PathSegment<'p>]);

impl<'de> DeserializeSeed<'de> for PathSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PathSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table or an array")
    }

    // All other visits keep their default, which fails. That is intended at the end of the path, and a string
    // or number in the middle of a path is the closest position available.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.0.is_empty() {
            // TOML reports the line of a value, but not that of a table.
            return if map.next_key::<IgnoredAny>()?.is_some() { map.next_value_seed(StopSeed) } else { Ok(()) };
        }
        while let Some(key) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((PathSegment::Name(name), rest)) if *name == key => return map.next_value_seed(PathSeed(rest)),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.0.is_empty() {
            return Err(A::Error::custom("here"));
        }
        let Some((PathSegment::At(wanted), rest)) = self.0.split_first() else { return Ok(()) };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(PathSeed(rest)).map(drop)
    }
}

struct StopSeed;

impl<'de> DeserializeSeed<'de> for StopSeed {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom("here"))
    }
}

#[cfg(test)]
mod tests {
    use super::{DocumentFormat, line_of};

    #[test]
    fn present_and_missing_members_have_lines() {
        let json = "{\"users\": [\n  {\"username\": \"a\"},\n  {\n    \"username\": \"b\",\n    \"email\": \"x\"}]}";
        let toml = "[[users]]\nusername = \"a\"\n\n[[users]]\nusername = \"b\"\nemail = \"x\"\n";
        for (field, in_json, in_toml) in [
            ("users[0].username", Some(2), Some(2)),
            ("users[1].email", Some(5), Some(6)),
            ("users[1].name", Some(4), Some(6)),
            ("clients[0].client_id", None, None),
        ] {
            assert_eq!(line_of(json, DocumentFormat::Json, field), in_json, "{field}");
            assert_eq!(line_of(toml, DocumentFormat::Toml, field), in_toml, "{field}");
        }
    }
}
