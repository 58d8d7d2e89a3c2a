//! Dictionaries and items of RFC 9651 as they stand, repetitions included: its parsing keeps the last of several members
//! or parameters of one name (§4.2.2, §4.2.3.2), and a signature that says a thing twice is refused instead. `sfv` does the
//! parsing and shows each member as it comes.

use std::collections::HashSet;
use std::convert::Infallible;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItem, BareItemFromInput, Key, KeyRef, Parser};

/// In the order in which they stand.
pub(crate) type Parameters = Vec<(Key, BareItem)>;

#[derive(Debug)]
pub(crate) struct Item {
    pub value: BareItem,
    pub parameters: Parameters,
}

#[derive(Debug)]
pub(crate) enum Value {
    Item(BareItem),
    List(Vec<Item>),
}

#[derive(Debug)]
pub(crate) struct Member {
    pub key: Key,
    pub value: Value,
    pub parameters: Parameters,
}

pub(crate) fn dictionary(text: &[u8]) -> Result<Vec<Member>, sfv::Error> {
    let mut members = Members(Vec::new());
    Parser::new(text).parse_dictionary_with_visitor(&mut members)?;
    Ok(members.0)
}

pub(crate) fn item(text: &str) -> Result<Item, sfv::Error> {
    let mut item = Item { value: BareItem::Boolean(true), parameters: Vec::new() };
    Parser::new(text).parse_item_with_visitor(&mut item)?;
    Ok(item)
}

/// The first name that stands twice.
pub(crate) fn repeated(parameters: &Parameters) -> Option<&Key> {
    let mut seen = HashSet::new();
    parameters.iter().map(|(key, _)| key).find(|key| !seen.insert(*key))
}

struct Members(Vec<Member>);

struct InParameters<'a>(&'a mut Parameters);

struct InList<'a> {
    items: &'a mut Vec<Item>,
    parameters: &'a mut Parameters,
}

impl<'de> DictionaryVisitor<'de> for &mut Members {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        let blank = Value::Item(BareItem::Boolean(true));
        self.0.push(Member { key: key.to_owned(), value: blank, parameters: Vec::new() });
        Ok(self.0.last_mut())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<'de> EntryVisitor<'de> for &mut Member {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        self.value = Value::List(Vec::new());
        let Member { value, parameters, .. } = self;
        Ok(match value {
            Value::List(items) => Some(InList { items, parameters }),
            Value::Item(_) => None,
        })
    }
}

impl<'de> ItemVisitor<'de> for &mut Member {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, value: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        self.value = Value::Item(value.into());
        Ok(InParameters(&mut self.parameters))
    }
}

impl<'de> ItemVisitor<'de> for &mut Item {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, value: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        self.value = value.into();
        Ok(InParameters(&mut self.parameters))
    }
}

impl<'de> InnerListVisitor<'de> for InList<'_> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        self.items.push(Item { value: BareItem::Boolean(true), parameters: Vec::new() });
        Ok(self.items.last_mut())
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(InParameters(self.parameters))
    }
}

impl<'de> ParameterVisitor<'de> for InParameters<'_> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, key: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Infallible> {
        self.0.push((key.to_owned(), value.into()));
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, dictionary, item, repeated};

    #[test]
    fn duplicate_members_and_parameters_are_kept() {
        let members = dictionary(br#"a=("x";p "y");q=1;q=2, a=:AA==:, b;r;s=?0;r"#).unwrap();
        let keys: Vec<&str> = members.iter().map(|member| member.key.as_str()).collect();
        assert_eq!(keys, ["a", "a", "b"]);
        assert!(matches!(&members[0].value, Value::List(items) if items.len() == 2 && items[0].parameters.len() == 1));
        assert!(matches!(&members[1].value, Value::Item(value) if value.as_byte_sequence() == Some(&[0][..])));
        let twice: Vec<_> = members.iter().map(|it| repeated(&it.parameters).map(|key| key.as_str())).collect();
        assert_eq!(twice, [Some("q"), None, Some("r")]);
    }

    #[test]
    fn item_rejects_trailing_input() {
        assert_eq!(item(r#""x";name="a";name="b""#).unwrap().parameters.len(), 2);
        for wrong in ["", "\"x", "\"x\" \"y\"", "(\"x\")", "\"x\";"] {
            assert!(item(wrong).is_err(), "{wrong}");
        }
    }
}
