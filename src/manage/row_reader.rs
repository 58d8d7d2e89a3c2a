//! Reads one flat table into two structs, with errors that name the row and the member.
//!
//! serde's `flatten` cannot be combined with `deny_unknown_fields`, and would lose the position in the file.
//! Therefore a row's own members are taken out while it is read, and the rest goes to a struct that rejects
//! unknown members.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// The members of a row beside those of its flat part.
pub(super) trait OwnMembers: Default {
    const NAMES: &'static [&'static str];

    /// Reads the value of one of `NAMES`.
    fn take<'de, D: Deserializer<'de>>(&mut self, name: &str, value: D) -> Result<(), D::Error>;
}

/// A row without members of its own.
impl OwnMembers for () {
    const NAMES: &'static [&'static str] = &[];

    fn take<'de, D: Deserializer<'de>>(&mut self, name: &str, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom(format!("{name} is not known")))
    }
}

#[derive(Debug)]
pub(super) struct SplitRow<O, F> {
    pub own: O,
    pub flat: F,
}

/// Reads an array of rows; `at` is its name in the document.
pub(super) fn rows<'de, D, O, F>(deserializer: D, at: &'static str) -> Result<Vec<SplitRow<O, F>>, D::Error>
where
    D: Deserializer<'de>,
    O: OwnMembers,
    F: Deserialize<'de>,
{
    struct Rows<O, F>(&'static str, PhantomData<(O, F)>);

    impl<'de, O: OwnMembers, F: Deserialize<'de>> Visitor<'de> for Rows<O, F> {
        type Value = Vec<SplitRow<O, F>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an array of tables as {}", self.0)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut rows = Vec::new();
            while let Some(row) = seq.next_element_seed(RowSeed(format!("{}[{}]", self.0, rows.len()), PhantomData))? {
                rows.push(row);
            }
            Ok(rows)
        }
    }

    deserializer.deserialize_seq(Rows(at, PhantomData))
}

struct RowSeed<O, F>(String, PhantomData<(O, F)>);

impl<'de, O: OwnMembers, F: Deserialize<'de>> DeserializeSeed<'de> for RowSeed<O, F> {
    type Value = SplitRow<O, F>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, O: OwnMembers, F: Deserialize<'de>> Visitor<'de> for RowSeed<O, F> {
    type Value = SplitRow<O, F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table as {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut own = O::default();
        let sieve = RowReader { map, own: &mut own, at: &self.0, name: String::new(), taken: Vec::new() };
        let flat = F::deserialize(MapAccessDeserializer::new(sieve))?;
        Ok(SplitRow { own, flat })
    }
}

struct RowReader<'a, A, O> {
    map: A,
    own: &'a mut O,
    /// The row that is being read.
    at: &'a str,
    /// The name of the member whose value comes next.
    name: String,
    taken: Vec<String>,
}

impl<'de, A: MapAccess<'de>, O: OwnMembers> MapAccess<'de> for RowReader<'_, A, O> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        loop {
            let key = KeySeed { seed: &mut seed, known: O::NAMES, at: self.at, name: &mut self.name };
            match self.map.next_key_seed(key)? {
                None => return Ok(None),
                Some(Some(key)) => return Ok(Some(key)),
                Some(None) if self.taken.contains(&self.name) => {
                    return Err(A::Error::custom(format!("{}.{}: stands there twice", self.at, self.name)));
                }
                Some(None) => {
                    self.taken.push(self.name.clone());
                    let own = OwnSeed { own: &mut *self.own, name: &self.name };
                    self.map.next_value_seed(MemberSeed { seed: own, at: self.at, name: &self.name })?;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(MemberSeed { seed, at: self.at, name: &self.name })
    }
}

/// Reads a key of the flat part; `None` if it is one of the row's own members.
struct KeySeed<'s, K> {
    seed: &'s mut Option<K>,
    known: &'static [&'static str],
    at: &'s str,
    name: &'s mut String,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Option<K::Value>;

    // Errors must be created in here: only then do both formats know their line.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        *self.name = String::deserialize(deserializer)?;
        if self.known.contains(&self.name.as_str()) {
            return Ok(None);
        }
        let Some(seed) = self.seed.take() else { return Ok(None) };
        let key: serde::de::value::StringDeserializer<D::Error> = self.name.clone().into_deserializer();
        match seed.deserialize(key) {
            Ok(key) => Ok(Some(key)),
            Err(_) => Err(D::Error::custom(format!("{}.{}: there is no such field", self.at, self.name))),
        }
    }
}

struct OwnSeed<'s, O> {
    own: &'s mut O,
    name: &'s str,
}

impl<'de, O: OwnMembers> DeserializeSeed<'de> for OwnSeed<'_, O> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.own.take(self.name, deserializer)
    }
}

/// Reads a value and names the member in its errors.
struct MemberSeed<'s, V> {
    seed: V,
    at: &'s str,
    name: &'s str,
}

impl<'de, V: DeserializeSeed<'de>> DeserializeSeed<'de> for MemberSeed<'_, V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.seed.deserialize(deserializer).map_err(|error| {
            // serde_json parses the position at the end of this text, so nothing may follow it.
            D::Error::custom(format!("{}.{}: {}", self.at, self.name, error.to_string().trim_end()))
        })
    }
}

/// Reads a secret. serde's own error would repeat a value that is not a string.
pub(super) fn hidden<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    T::deserialize(value).map_err(|_| serde::de::Error::custom("must be text in quotation marks"))
}

/// Reads a secret that may be absent.
pub(super) fn deserialize_optional_secret<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    hidden(value).map(Some)
}
