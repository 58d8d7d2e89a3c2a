//! Bodies with a `Content-Digest` (RFC 9530 §2): read to a bound, held against it, and handed on whole.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use signet_signatures::ContentDigest;

use crate::challenge::{Code, Refusal};

/// The body again, where it is the one that the digest was made of.
pub(crate) async fn checked<B>(body: B, digest: &ContentDigest, most: usize) -> Result<B, Refusal>
where
    B: Body + From<Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Refusal::new(Code::TooLarge, format!("A body with a digest has at most {most} bytes."))
        } else {
            Refusal::new(Code::InvalidRequest, "The body did not arrive whole.")
        }
    });
    let bytes = read?.to_bytes();
    digest.check(&bytes).map_err(|error| Refusal::new(Code::InvalidRequest, format!("{error}.")))?;
    Ok(B::from(bytes))
}
