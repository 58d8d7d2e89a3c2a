//! The pages in Chromium. Every test's name begins with `browser::`: `tests/run` runs them once, not again on PostgreSQL.

mod device;
mod harness;
mod injection;
mod landing;
mod layout;
mod pages;
mod passkeys;
mod sessions;
mod walkthrough;
