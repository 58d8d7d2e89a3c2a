//! The fields `Signature-Input` and `Signature` of a request (RFC 9421 §4): dictionaries with one label for each
//! signature. Both have the same labels, each once.

use crate::error::{Error, Result, shortened};
use crate::input::Input;
use crate::key::VerifyingKey;
use crate::request::Request;
use crate::structured::{self, Member, Value};

/// More than any chain of proxies adds.
const MAX_SIGNATURES: usize = 32;

/// The signatures of a request, in the order of `Signature-Input`. Which of them counts is for the reader to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures(Vec<Signature>);

/// One signature, read and not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    label: String,
    input: Input,
    value: Vec<u8>,
}

impl Signatures {
    /// Nothing where the request has neither field.
    pub fn of(request: &Request<'_>) -> Result<Option<Self>> {
        let inputs = members(request, "Signature-Input")?;
        let values = members(request, "Signature")?;
        if inputs.is_none() && values.is_none() {
            return Ok(None);
        }
        let mut values = values.unwrap_or_default();
        let mut all = Vec::new();
        for member in inputs.unwrap_or_default() {
            let label = member.key.as_str().to_owned();
            let Value::List(items) = &member.value else { return Err(Error::NotComponents(shortened(&label))) };
            let input = Input::of(items, &member.parameters)?;
            let matching = values.iter().position(|value| value.key == member.key);
            let value = values.swap_remove(matching.ok_or_else(|| Error::Unmatched(shortened(&label)))?);
            let Value::Item(sfv::BareItem::ByteSequence(bytes)) = value.value else {
                return Err(Error::NotBytes(shortened(&label)));
            };
            all.push(Signature { label, input, value: bytes });
        }
        match values.first() {
            Some(left) => Err(Error::Unmatched(shortened(left.key.as_str()))),
            None => Ok(Some(Self(all))),
        }
    }

    #[must_use]
    pub fn get(&self, label: &str) -> Option<&Signature> {
        self.0.iter().find(|signature| signature.label == label)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Signature> {
        self.0.iter()
    }

    /// The one that there is, for those who take one; nothing where both fields are empty.
    pub fn only(&self) -> Result<Option<&Signature>> {
        match self.0.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(Error::Several),
        }
    }
}

impl Signature {
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    #[must_use]
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Whether the key made it over this request (§3.2). What it has to cover, and when it has to be made, is for
    /// [`Policy`](crate::Policy).
    pub fn verify(&self, request: &Request<'_>, key: &VerifyingKey) -> Result<()> {
        // First, so that what cannot be covered is told of a wrong key as of a right one.
        let base = self.input.base(request)?;
        if self.input.parameters().alg.as_deref().is_some_and(|alg| alg != key.algorithm().as_str()) {
            return Err(Error::Algorithm);
        }
        key.verify(base.as_bytes(), &self.value)
    }
}

fn members(request: &Request<'_>, name: &'static str) -> Result<Option<Vec<Member>>> {
    let Some(text) = request.joined(name)? else { return Ok(None) };
    let wrong = |error: sfv::Error| Error::NotStructured(name.to_owned(), error.to_string());
    let members = structured::dictionary(&text).map_err(wrong)?;
    if members.len() > MAX_SIGNATURES {
        return Err(Error::TooManySignatures);
    }
    for (at, member) in members.iter().enumerate() {
        if members.iter().take(at).any(|before| before.key == member.key) {
            return Err(Error::RepeatedLabel(shortened(member.key.as_str()), name));
        }
    }
    Ok(Some(members))
}
