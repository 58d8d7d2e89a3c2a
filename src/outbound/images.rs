//! The logos of clients: fetched from the `logo_uri`, cached for a while, and accepted only if they are small
//! raster images. The declared media type is not trusted: an SVG can contain script, and a page can be labelled
//! as an image.
//!
//! There is one fetch at a time for each URL, and a failure is cached for a minute.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Mutex;

use super::budget::{Purpose, UrlSource};
use super::client::{OutboundClient, OutboundError};
use crate::env::Timestamp;

/// The maximum size of the cache in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The weight of an image in addition to its bytes, and of a cached failure.
const MIN_WEIGHT: u32 = 1024;
/// The maximum number of URLs with a fetch lock.
const MAX_FETCH_LOCKS: u64 = 1_000;
/// The seconds for which an image is cached if its response does not say.
const DEFAULT_TTL: i64 = 86_400;
const MIN_TTL: i64 = 3600;
const MAX_TTL: i64 = 7 * 86_400;
/// The seconds until a failed fetch is tried again.
const RETRY_INTERVAL: i64 = 60;
/// The seconds until a fetch is tried again for which there was no free slot.
const BUSY_RETRY_INTERVAL: i64 = 2;

#[derive(Clone, Debug)]
pub struct Image {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// A cache of images. Cheap to clone.
#[derive(Clone)]
pub struct ImageCache {
    outbound: OutboundClient,
    cached: Cache<String, Arc<CachedImage>>,
    turns: Cache<String, Arc<Mutex<()>>>,
}

struct CachedImage {
    image: Option<Arc<Image>>,
    until: Timestamp,
}

impl ImageCache {
    pub fn new(outbound: &OutboundClient) -> Self {
        let weight = |_: &String, kept: &Arc<CachedImage>| {
            let bytes = kept.image.as_ref().map_or(0, |image| image.bytes.len());
            u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(MIN_WEIGHT)
        };
        Self {
            outbound: outbound.for_purpose(Purpose::Logos),
            cached: Cache::builder().max_capacity(MAX_BYTES).weigher(weight).build(),
            turns: Cache::new(MAX_FETCH_LOCKS),
        }
    }

    /// Returns the image at `url`, if there is one.
    pub async fn get(&self, url: &str, named_by: UrlSource, now: Timestamp) -> Option<Arc<Image>> {
        let fresh = || self.cached.get(url).filter(|kept| now < kept.until);
        if let Some(kept) = fresh() {
            return kept.image.clone();
        }
        let turn = self.turns.get_with_by_ref(url, Arc::default);
        let _turn = turn.lock().await;
        if let Some(kept) = fresh() {
            return kept.image.clone();
        }
        let (image, seconds) = match self.fetch(url, named_by).await {
            Ok((image, seconds)) => (Some(Arc::new(image)), seconds),
            Err((problem, seconds)) => {
                tracing::warn!(url, problem, "an app's logo cannot be used");
                (None, seconds)
            }
        };
        let kept = CachedImage { image: image.clone(), until: now.plus_seconds(seconds) };
        self.cached.insert(url.to_owned(), Arc::new(kept));
        image
    }

    /// Returns the image and the seconds for which it may be cached, or the error and the seconds until the
    /// next attempt.
    async fn fetch(&self, url: &str, named_by: UrlSource) -> Result<(Image, i64), (String, i64)> {
        let outbound = self.outbound.named_by(named_by);
        let fetched = outbound.get(url, "image/png, image/webp, image/jpeg, image/gif").await;
        let fetched = fetched.map_err(|error| match error {
            OutboundError::Busy => (error.to_string(), BUSY_RETRY_INTERVAL),
            error => (error.to_string(), RETRY_INTERVAL),
        })?;
        let media_type = media_type(&fetched.body);
        let media_type = media_type.ok_or_else(|| ("it is no PNG, JPEG, WebP or GIF".to_owned(), RETRY_INTERVAL))?;
        let image = Image { media_type, bytes: fetched.body };
        Ok((image, fetched.max_age.unwrap_or(DEFAULT_TTL).clamp(MIN_TTL, MAX_TTL)))
    }
}

/// Returns the media type by the first bytes (WHATWG MIME Sniffing §6.1).
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn the_table() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\nmore"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0more", Some("image/jpeg")),
            (b"GIF89amore", Some("image/gif")),
            (b"GIF87amore", Some("image/gif")),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 more", Some("image/webp")),
            (b"RIFF\x01\x02\x03\x04WAVEfmt ", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", None),
            (b"<!doctype html>", None),
            (b" \x89PNG\r\n\x1a\n", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), expected, "{bytes:?}");
        }
    }
}
