//! Manifests and blobs as a session brings them, and the check that they are what was asked for.

use bytes::Bytes;

use crate::error::Fault;
use crate::exchange::read;
use crate::manifest::ACCEPT;
use crate::session::Session;

/// Bytes of the largest manifest, as registries bound it too.
pub(crate) const MANIFEST_LIMIT: u64 = 4 << 20;

/// The text of a manifest.
pub(crate) async fn manifest(session: &mut Session<'_>, version: &str) -> Result<Bytes, Fault> {
    let mut ask = session.get("the manifest", &format!("manifests/{version}"))?;
    ask.accept = Some(ACCEPT);
    let answer = session.send(&ask).await?;
    read(
        answer.into_body(),
        ("the manifest", MANIFEST_LIMIT),
        &|_| (),
    )
    .await
}

pub(crate) fn same(what: &'static str, wanted: &str, found: &str) -> Result<(), Fault> {
    if wanted == found {
        return Ok(());
    }
    Err(Fault::Digest {
        what,
        wanted: wanted.to_owned(),
        found: found.to_owned(),
    })
}

/// A small blob, whose digest was checked.
pub(crate) async fn blob(
    session: &mut Session<'_>,
    (what, limit): (&'static str, u64),
    digest: &str,
) -> Result<Bytes, Fault> {
    let ask = session.get(what, &format!("blobs/{digest}"))?;
    let answer = session.send(&ask).await?;
    let bytes = read(answer.into_body(), (what, limit), &|_| ()).await?;
    same(what, digest, &crate::digest(&bytes))?;
    Ok(bytes)
}
