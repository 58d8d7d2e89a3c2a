//! What one signature says of itself (RFC 9421 §2.3, §4.1): the covered components in their order, and the parameters.
//! Read from a member of `Signature-Input`, or put together to sign.

use std::fmt;

use sfv::{BareItem, Integer, Key, KeyRef, ListSerializer, StringRef};

use crate::component::{Component, pairs};
use crate::error::{Error, Result, shortened};
use crate::structured::{self, Item};

/// A signature covers a request; nobody needs more than the fields that one has.
const MAX_COMPONENTS: usize = 64;

/// The parameters that RFC 9421 §2.3 defines. Others are covered by the signature as they stand, and mean nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Seconds since 1970.
    pub created: Option<i64>,
    pub expires: Option<i64>,
    pub nonce: Option<String>,
    pub keyid: Option<String>,
    pub alg: Option<String>,
    pub tag: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    components: Vec<Component>,
    parameters: Parameters,
    /// The inner list as RFC 9651 §4.1 writes it: the value of `@signature-params`.
    text: String,
}

impl Input {
    /// To sign with. Only what is there is written.
    pub fn new(components: Vec<Component>, parameters: Parameters) -> Result<Self> {
        distinct(&components)?;
        let mut written = Vec::new();
        for (name, seconds) in [("created", parameters.created), ("expires", parameters.expires)] {
            if let Some(seconds) = seconds {
                let seconds = Integer::try_from(seconds).map_err(|_| Error::ParameterType(name.to_owned()))?;
                written.push((key(name)?, BareItem::Integer(seconds)));
            }
        }
        let Parameters { nonce, keyid, alg, tag, .. } = &parameters;
        for (name, text) in [("nonce", nonce), ("keyid", keyid), ("alg", alg), ("tag", tag)] {
            if let Some(text) = text {
                let text = StringRef::from_str(text).map_err(|_| Error::Characters(name))?;
                written.push((key(name)?, BareItem::String(text.to_owned())));
            }
        }
        let text = text(&components, &written);
        Ok(Self { components, parameters, text })
    }

    pub(crate) fn of(items: &[Item], parameters: &structured::Parameters) -> Result<Self> {
        if items.len() > MAX_COMPONENTS {
            return Err(Error::TooManyComponents);
        }
        if let Some(key) = structured::repeated(parameters) {
            return Err(Error::RepeatedParameter(shortened(key.as_str())));
        }
        let components = items.iter().map(Component::of).collect::<Result<Vec<_>>>()?;
        distinct(&components)?;
        let mut typed = Parameters::default();
        for (key, value) in parameters {
            let name = key.as_str();
            let seconds = || value.as_integer().map(i64::from).ok_or_else(|| Error::ParameterType(name.to_owned()));
            let string = || {
                let text = value.as_string().map(|text| text.as_str().to_owned());
                text.ok_or_else(|| Error::ParameterType(name.to_owned()))
            };
            match name {
                "created" => typed.created = Some(seconds()?),
                "expires" => typed.expires = Some(seconds()?),
                "nonce" => typed.nonce = Some(string()?),
                "keyid" => typed.keyid = Some(string()?),
                "alg" => typed.alg = Some(string()?),
                "tag" => typed.tag = Some(string()?),
                _ => {}
            }
        }
        let text = text(&components, parameters);
        Ok(Self { components, parameters: typed, text })
    }

    /// In the order in which they are covered.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Whether the whole of that component is covered.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.components.iter().any(|component| component.covers(name))
    }
}

/// The value of `@signature-params`, which is also the member's value in `Signature-Input`.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn key(name: &'static str) -> Result<Key> {
    KeyRef::from_str(name).map(ToOwned::to_owned).map_err(|_| Error::Characters(name))
}

fn distinct(components: &[Component]) -> Result<()> {
    if components.len() > MAX_COMPONENTS {
        return Err(Error::TooManyComponents);
    }
    for (at, component) in components.iter().enumerate() {
        if components.iter().take(at).any(|before| before == component) {
            return Err(Error::RepeatedComponent(shortened(&component.to_string())));
        }
    }
    Ok(())
}

fn text(components: &[Component], parameters: &structured::Parameters) -> String {
    let listed: Vec<String> = components.iter().map(ToString::to_string).collect();
    // The components are written already: an empty list is made for the parameters behind it.
    let mut list = ListSerializer::new();
    let _ = list.inner_list().finish().parameters(pairs(parameters));
    let behind = list.finish().unwrap_or_default();
    format!("({}{}", listed.join(" "), behind.trim_start_matches('('))
}

#[cfg(test)]
mod tests {
    use super::{Input, Parameters};
    use crate::error::{Error, Result};
    use crate::structured::{self, Value};
    use crate::{Component, ErrorKind};

    pub(super) fn read(text: &str) -> Result<Input> {
        let members = structured::dictionary(format!("s={text}").as_bytes()).unwrap();
        let Value::List(items) = &members[0].value else { panic!("{text}") };
        Input::of(items, &members[0].parameters)
    }

    #[test]
    fn parameters_are_typed_and_round_trip() {
        let text =
            r#"("@method" "date";bs);keyid="k";created=7;x=:AA==:;expires=-1;nonce="\"\\";tag="t";alg="ed25519""#;
        let input = read(text).unwrap();
        assert_eq!(input.to_string(), text);
        let expected = Parameters {
            created: Some(7),
            expires: Some(-1),
            nonce: Some(r#""\"#.into()),
            keyid: Some("k".into()),
            alg: Some("ed25519".into()),
            tag: Some("t".into()),
        };
        assert_eq!(*input.parameters(), expected);
        assert_eq!(read(r#"( "date"  "@path" );  created=007 "#).unwrap().to_string(), r#"("date" "@path");created=7"#);
        assert_eq!(read(r#"();tag="()""#).unwrap().to_string(), r#"();tag="()""#);
    }

    #[test]
    fn built_input_round_trips() {
        let parameters = Parameters { created: Some(1), nonce: Some("n".into()), ..Parameters::default() };
        let components = vec![Component::new("@method").unwrap(), Component::parse(r#""a";sf"#).unwrap()];
        let input = Input::new(components, parameters).unwrap();
        assert_eq!(input.to_string(), r#"("@method" "a";sf);created=1;nonce="n""#);
        assert_eq!(read(&input.to_string()).unwrap(), input);
        let bad = Parameters { keyid: Some("\n".into()), ..Parameters::default() };
        assert_eq!(Input::new(Vec::new(), bad), Err(Error::Characters("keyid")));
        let far = Parameters { created: Some(i64::MAX), ..Parameters::default() };
        assert_eq!(Input::new(Vec::new(), far), Err(Error::ParameterType("created".into())));
    }

    #[test]
    fn duplicate_parameters_and_components_are_rejected() {
        for parameters in ["created=1;created=1", "nonce=\"a\";created=1;nonce=\"b\"", "x;x", "x;y=1;x=?0"] {
            let error = read(&format!("();{parameters}")).unwrap_err();
            assert!(matches!(error, Error::RepeatedParameter(_)), "{parameters}");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
        for components in [
            r#""date" "date""#,
            r#""date";bs "@path" "date";bs"#,
            r#""a";sf;key="x" "a";key="x";sf"#,
            r#""@query-param";name="a" "@query-param";name="a""#,
        ] {
            assert!(matches!(read(&format!("({components})")), Err(Error::RepeatedComponent(_))), "{components}");
        }
        for distinct in [r#""date" "date";bs"#, r#""a";key="x" "a";key="y""#] {
            assert!(read(&format!("({distinct})")).is_ok(), "{distinct}");
        }
    }

    #[test]
    fn parameter_of_wrong_type_is_rejected() {
        for parameter in [
            "created=1.0",
            "created=\"1\"",
            "created",
            "expires=@1",
            "nonce=n",
            "nonce=1",
            "keyid=:AA==:",
            "alg",
            "tag=?1",
        ] {
            assert!(matches!(read(&format!("();{parameter}")), Err(Error::ParameterType(_))), "{parameter}");
        }
    }

    #[test]
    fn components_are_bounded() {
        let many = |count: usize| {
            let names: Vec<String> = (0..count).map(|at| format!("\"x-{at}\"")).collect();
            read(&format!("({})", names.join(" "))).map(|input| input.components().len())
        };
        assert_eq!(many(64), Ok(64));
        assert_eq!(many(65), Err(Error::TooManyComponents));
    }
}
