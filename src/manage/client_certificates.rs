//! The index of the names in certificates that identify clients (RFC 8705 §2). It is updated with each client
//! that is added, changed or removed. Self-registered clients are not in the index, because such a client could
//! claim the name in the certificate of another one.
//!
//! See also [`super::clients`], which calls this, and `gate::authenticate`, which queries the index.

use super::Result;
use crate::domain::certificate::CertificateName;
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::secret::Digest;
use crate::store::{ChangeEvent, Tx, client_certificates};

fn names(client: &Client) -> Vec<Digest> {
    if client.registration_kind != RegistrationKind::Admin {
        return Vec::new();
    }
    let mut names: Vec<Digest> = client.meta.certificate_names().iter().map(CertificateName::digest).collect();
    names.sort_unstable_by_key(|name| name.0);
    names.dedup();
    names
}

/// Writes the difference between the two states, either of which may be absent.
pub(super) async fn name_in(tx: &Tx, before: Option<&Client>, after: Option<&Client>) -> Result<()> {
    let (old, new) = (before.map(names).unwrap_or_default(), after.map(names).unwrap_or_default());
    let Some(client) = before.or(after).filter(|_| old != new) else { return Ok(()) };
    client_certificates::put(tx, &client.id, &new).await?;
    tx.publish(ChangeEvent::ClientCertificates(old.iter().chain(&new).collect())).await?;
    Ok(())
}
