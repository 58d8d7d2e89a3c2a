//! Logos of apps: fetched from where the app says, kept for a while, and only what is a small raster image. What they say
//! they are is not believed: an SVG can hold script, and a page can call itself an image.
//!
//! One fetch at a time an address, and a failure is remembered for a minute.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Mutex;

use super::budget::{Purpose, UrlSource};
use super::client::{OutboundClient, OutboundError};
use crate::env::Timestamp;

/// Bytes of all images that are kept.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What an image weighs beside its bytes, and an address without one.
const MIN_WEIGHT: u32 = 1024;
/// Addresses whose turns are remembered.
const MAX_FETCH_LOCKS: u64 = 1_000;
/// Seconds that an image is kept where its answer does not say.
const DEFAULT_TTL: i64 = 86_400;
const MIN_TTL: i64 = 3600;
const MAX_TTL: i64 = 7 * 86_400;
/// And until what failed is tried again.
const RETRY_INTERVAL: i64 = 60;
/// And where there was no room for one more request.
const BUSY_RETRY_INTERVAL: i64 = 2;

#[derive(Clone, Debug)]
pub struct Image {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Cheap to clone.
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

    /// The image at `url`, where there is one.
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

    /// The image and for how many seconds it may be kept; or why there is none, and when to try again.
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

/// By the first bytes (WHATWG MIME Sniffing §6.1).
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
