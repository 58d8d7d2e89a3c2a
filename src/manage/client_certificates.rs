//! The index of the names by which certificates are known as clients' (RFC 8705 §2): kept with each client that is added,
//! changed or removed. One that registered itself is in none: it could name itself by the certificate of another.
//!
//! Next door: [`super::clients`], which calls this; `gate::credential`, which asks it.

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

/// Writes down what has changed between the two, of which one may not be there.
pub(super) async fn name_in(tx: &Tx, before: Option<&Client>, after: Option<&Client>) -> Result<()> {
    let (old, new) = (before.map(names).unwrap_or_default(), after.map(names).unwrap_or_default());
    let Some(client) = before.or(after).filter(|_| old != new) else { return Ok(()) };
    client_certificates::put(tx, &client.id, &new).await?;
    tx.publish(ChangeEvent::ClientCertificates(old.iter().chain(&new).collect())).await?;
    Ok(())
}
