//! What a signature covers: component identifiers with their parameters (RFC 9421 §2), read and written. What each stands
//! for in a request is next door, in [`crate::base`] and [`crate::field`].

use std::fmt;

use sfv::{BareItem, ItemSerializer, StringRef};

use crate::error::{Error, Result, shortened};
use crate::structured::{self, Item, Parameters};

/// One covered component. Two are the same whatever the order of their parameters (§2).
#[derive(Clone, Debug)]
pub struct Component {
    what: ComponentKind,
    /// As it stands in the signature base: the parameters in the order in which they came.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ComponentKind {
    /// §2.2.1.
    Method,
    /// §2.2.2.
    TargetUri,
    /// §2.2.3.
    Authority,
    /// §2.2.4.
    Scheme,
    /// §2.2.5.
    RequestTarget,
    /// §2.2.6.
    Path,
    /// §2.2.7.
    Query,
    /// §2.2.8: the name, encoded as it is compared.
    QueryParam(String),
    /// §2.1: the name in lower case.
    Field(String, FieldEncoding),
}

/// How the value of a field is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldEncoding {
    /// Its lines, joined.
    Lines,
    /// §2.1.1, `sf`.
    Structured,
    /// §2.1.2, `key`; whether `sf` stands beside it changes the identifier and not the value.
    Member { key: String, sf: bool },
    /// §2.1.3, `bs`.
    Bytes,
}

impl Component {
    /// A component without parameters: `@method`, or the name of a field.
    pub fn new(name: &str) -> Result<Self> {
        let name = StringRef::from_str(name).map_err(|_| Error::ComponentName)?;
        Self::of(&Item { value: BareItem::String(name.to_owned()), parameters: Vec::new() })
    }

    /// An identifier as it stands in `Signature-Input`: `"@query-param";name="Pet"`.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(&structured::item(text).map_err(|_| Error::ComponentName)?)
    }

    pub(crate) fn of(item: &Item) -> Result<Self> {
        let name = item.value.as_string().ok_or(Error::ComponentName)?.as_str();
        if let Some(key) = structured::repeated(&item.parameters) {
            return Err(Error::RepeatedParameter(shortened(key.as_str())));
        }
        let what = match name.strip_prefix('@') {
            Some(_) => derived(name, &item.parameters)?,
            None => field(name, &item.parameters)?,
        };
        let text = ItemSerializer::new().bare_item(&item.value).parameters(pairs(&item.parameters)).finish();
        Ok(Self { what, text })
    }

    pub(crate) fn what(&self) -> &ComponentKind {
        &self.what
    }

    /// Its name, without parameters.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.what {
            ComponentKind::Method => "@method",
            ComponentKind::TargetUri => "@target-uri",
            ComponentKind::Authority => "@authority",
            ComponentKind::Scheme => "@scheme",
            ComponentKind::RequestTarget => "@request-target",
            ComponentKind::Path => "@path",
            ComponentKind::Query => "@query",
            ComponentKind::QueryParam(_) => "@query-param",
            ComponentKind::Field(name, _) => name,
        }
    }

    /// Whether all of that is covered: not only one member of a dictionary, or one parameter of the query.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let part =
            matches!(self.what, ComponentKind::QueryParam(_) | ComponentKind::Field(_, FieldEncoding::Member { .. }));
        !part && self.name() == name
    }
}

/// The identifier as it stands in the signature base (§2.5).
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Component {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

impl Eq for Component {}

pub(crate) fn pairs(parameters: &Parameters) -> Vec<(&sfv::KeyRef, &BareItem)> {
    parameters.iter().map(|(key, value)| (&**key, value)).collect()
}

fn derived(name: &str, parameters: &Parameters) -> Result<ComponentKind> {
    if name == "@status" || parameters.iter().any(|(key, _)| key.as_str() == "req") {
        return Err(Error::OfResponses(shortened(name)));
    }
    let what = match name {
        "@method" => ComponentKind::Method,
        "@target-uri" => ComponentKind::TargetUri,
        "@authority" => ComponentKind::Authority,
        "@scheme" => ComponentKind::Scheme,
        "@request-target" => ComponentKind::RequestTarget,
        "@path" => ComponentKind::Path,
        "@query" => ComponentKind::Query,
        "@query-param" => match parameters.as_slice() {
            [(key, BareItem::String(value))] if key.as_str() == "name" => {
                ComponentKind::QueryParam(value.as_str().to_owned())
            }
            _ => return Err(Error::ComponentParameters(shortened(name))),
        },
        _ => return Err(Error::UnknownComponent(shortened(name))),
    };
    match what {
        ComponentKind::QueryParam(_) => Ok(what),
        _ if parameters.is_empty() => Ok(what),
        _ => Err(Error::ComponentParameters(shortened(name))),
    }
}

fn field(name: &str, parameters: &Parameters) -> Result<ComponentKind> {
    if !crate::request::is_token(name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Error::ComponentName);
    }
    let (mut sf, mut bs, mut key) = (false, false, None);
    for (parameter, value) in parameters {
        match (parameter.as_str(), value) {
            ("sf", BareItem::Boolean(true)) => sf = true,
            ("bs", BareItem::Boolean(true)) => bs = true,
            ("key", BareItem::String(value)) => key = Some(value.as_str().to_owned()),
            ("req", _) => return Err(Error::OfResponses(shortened(name))),
            ("tr", _) => return Err(Error::OfTrailers(shortened(name))),
            _ => return Err(Error::ComponentParameters(shortened(name))),
        }
    }
    let form = match (bs, key) {
        (true, None) if !sf => FieldEncoding::Bytes,
        (true, _) => return Err(Error::ConflictingParameters(shortened(name))),
        (false, Some(key)) => FieldEncoding::Member { key, sf },
        (false, None) if sf => FieldEncoding::Structured,
        (false, None) => FieldEncoding::Lines,
    };
    Ok(ComponentKind::Field(name.to_owned(), form))
}

#[cfg(test)]
mod tests {
    use super::Component;
    use crate::Error;

    #[test]
    fn identifier_round_trips() {
        let same = [
            r#""@method""#,
            r#""@query-param";name="Pet""#,
            r#""content-digest""#,
            r#""example-dict";sf"#,
            r#""example-dict";key="a""#,
            r#""example-dict";key="a";sf"#,
            r#""example-header";bs"#,
        ];
        for text in same {
            assert_eq!(Component::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Component::parse(r#"  "a";  sf=?1 "#).unwrap().to_string(), r#""a";sf"#);
        assert_eq!(Component::new("date").unwrap().to_string(), r#""date""#);
    }

    #[test]
    fn parameter_order_does_not_matter() {
        let one = Component::parse(r#""a";sf;key="x""#).unwrap();
        assert_eq!(one, Component::parse(r#""a";key="x";sf"#).unwrap());
        assert_ne!(one, Component::parse(r#""a";key="y";sf"#).unwrap());
        assert_ne!(one, Component::parse(r#""a";key="x""#).unwrap());
    }

    #[test]
    fn partial_component_does_not_cover_the_field() {
        let covers = |text: &str, name| Component::parse(text).unwrap().covers(name);
        assert!(covers(r#""content-digest""#, "content-digest"));
        assert!(covers(r#""content-digest";bs"#, "content-digest"));
        assert!(covers(r#""content-digest";sf"#, "content-digest"));
        assert!(!covers(r#""content-digest";key="sha-256""#, "content-digest"));
        assert!(!covers(r#""@query-param";name="a""#, "@query-param"));
    }

    #[test]
    fn invalid_components_have_specific_errors() {
        let own = |text: &str| Component::parse(text).unwrap_err();
        let name = |name: &str| name.to_owned();
        for text in ["date", "1", r#""Date""#, r#""""#, r#""a b""#, r#""a:""#, "", r#"("date")"#, r#""date"#] {
            assert_eq!(own(text), Error::ComponentName, "{text}");
        }
        for text in [r#""@Method""#, r#""@unknown""#, r#""@signature-params""#, r#""@""#] {
            assert!(matches!(own(text), Error::UnknownComponent(_)), "{text}");
        }
        for text in [r#""@status""#, r#""@method";req"#, r#""@status";req"#] {
            assert!(matches!(own(text), Error::OfResponses(_)), "{text}");
        }
        assert_eq!(own(r#""date";req"#), Error::OfResponses(name("date")));
        assert_eq!(own(r#""date";tr"#), Error::OfTrailers(name("date")));
        for text in [
            r#""date";other"#,
            r#""date";sf=?0"#,
            r#""date";bs=1"#,
            r#""date";key=a"#,
            r#""date";key"#,
            r#""date";name="a""#,
            r#""@method";sf"#,
            r#""@query-param""#,
            r#""@query-param";name=a"#,
            r#""@query-param";name="a";sf"#,
        ] {
            assert!(matches!(own(text), Error::ComponentParameters(_)), "{text}");
        }
        for text in [r#""date";bs;sf"#, r#""date";key="a";bs"#, r#""date";sf;bs;key="a""#] {
            assert_eq!(own(text), Error::ConflictingParameters(name("date")), "{text}");
        }
        assert_eq!(own(r#""date";sf;sf"#), Error::RepeatedParameter(name("sf")));
    }
}
