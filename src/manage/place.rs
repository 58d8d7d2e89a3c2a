//! At which line of a document a member stands, for what is found wrong only after all of it has been read: the text is
//! read once more as far as that member. Next door: [`super::document`], which names members by path (`users[0].email`).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::document::Format;

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'a> {
    Name(&'a str),
    At(usize),
}

/// The line on which `field` stands, or, where it does not, some member of the row that lacks it.
pub fn line_of(text: &str, format: Format, field: &str) -> Option<usize> {
    let path = steps(field);
    (1..=path.len()).rev().filter_map(|length| path.get(..length)).find_map(|path| found(text, format, path))
}

fn steps(field: &str) -> Vec<Step<'_>> {
    let name = |text| Step::Name(text);
    field
        .split('.')
        .flat_map(|part| match part.split_once('[') {
            Some((before, number)) => {
                vec![name(before), number.trim_end_matches(']').parse().map_or(name(part), Step::At)]
            }
            None => vec![name(part)],
        })
        .collect()
}

/// Where reading stops when it is told to stop at that path.
fn found(text: &str, format: Format, path: &[Step<'_>]) -> Option<usize> {
    match format {
        Format::Json => {
            let mut reader = serde_json::Deserializer::from_str(text);
            Find(path).deserialize(&mut reader).err().map(|stopped| stopped.line())
        }
        Format::Toml => {
            let stopped = Find(path).deserialize(toml::Deserializer::parse(text).ok()?).err()?;
            Some(text.get(..stopped.span()?.start)?.matches('\n').count() + 1)
        }
    }
}

/// Fails where the path ends, so that the reader says where that is; succeeds where there is no such path.
struct Find<'p>(&'p [Step<'p>]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table or an array")
    }

    // Whatever else stands here: the default of every other visit is to fail, which is what is wanted at the path's end,
    // and a text or a number in the middle of a path is as near as one gets.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.0.is_empty() {
            // TOML knows the line of a value, and not of a table.
            return if map.next_key::<IgnoredAny>()?.is_some() { map.next_value_seed(Here) } else { Ok(()) };
        }
        while let Some(key) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((Step::Name(name), rest)) if *name == key => return map.next_value_seed(Find(rest)),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.0.is_empty() {
            return Err(A::Error::custom("here"));
        }
        let Some((Step::At(wanted), rest)) = self.0.split_first() else { return Ok(()) };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Find(rest)).map(drop)
    }
}

struct Here;

impl<'de> DeserializeSeed<'de> for Here {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom("here"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, line_of};

    #[test]
    fn members_rows_and_what_is_missing_have_their_lines() {
        let json = "{\"users\": [\n  {\"username\": \"a\"},\n  {\n    \"username\": \"b\",\n    \"email\": \"x\"}]}";
        let toml = "[[users]]\nusername = \"a\"\n\n[[users]]\nusername = \"b\"\nemail = \"x\"\n";
        for (field, in_json, in_toml) in [
            ("users[0].username", Some(2), Some(2)),
            ("users[1].email", Some(5), Some(6)),
            ("users[1].name", Some(4), Some(6)),
            ("clients[0].client_id", None, None),
        ] {
            assert_eq!(line_of(json, Format::Json, field), in_json, "{field}");
            assert_eq!(line_of(toml, Format::Toml, field), in_toml, "{field}");
        }
    }
}
