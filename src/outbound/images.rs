//! Logos of apps: fetched from where the app says, kept for a while, and only what is a small raster image. What they say
//! they are is not believed: an SVG can hold script, and a page can call itself an image.
//!
//! One fetch at a time an address; a failure is remembered for a minute.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Mutex;

use super::client::Outbound;
use crate::env::Timestamp;

/// With what one answer may have (256 KiB) it bounds the memory.
const MOST: u64 = 64;
/// Seconds that an image is kept where its answer does not say.
const USUAL: i64 = 86_400;
const SHORTEST: i64 = 3600;
const LONGEST: i64 = 7 * 86_400;
/// And until what failed is tried again.
const PAUSE: i64 = 60;

#[derive(Clone, Debug)]
pub struct Image {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Images {
    outbound: Outbound,
    known: Cache<String, Arc<Mutex<Kept>>>,
}

#[derive(Default)]
struct Kept {
    image: Option<Arc<Image>>,
    until: Option<Timestamp>,
}

impl Images {
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, known: Cache::new(MOST) }
    }

    /// The image at `url`, where there is one.
    pub async fn get(&self, url: &str, now: Timestamp) -> Option<Arc<Image>> {
        let kept = self.known.get_with_by_ref(url, Arc::default);
        let mut kept = kept.lock().await;
        if kept.until.is_some_and(|until| now < until) {
            return kept.image.clone();
        }
        let (image, seconds) = match self.fetch(url).await {
            Ok((image, seconds)) => (Some(Arc::new(image)), seconds),
            Err(problem) => {
                tracing::warn!(url, problem, "an app's logo cannot be used");
                (None, PAUSE)
            }
        };
        *kept = Kept { image, until: Some(now.plus_seconds(seconds)) };
        kept.image.clone()
    }

    async fn fetch(&self, url: &str) -> Result<(Image, i64), String> {
        let fetched = self.outbound.get(url, "image/png, image/webp, image/jpeg, image/gif").await;
        let fetched = fetched.map_err(|error| error.to_string())?;
        let media_type = media_type(&fetched.body).ok_or("it is no PNG, JPEG, WebP or GIF")?;
        let image = Image { media_type, bytes: fetched.body };
        Ok((image, fetched.max_age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST)))
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
