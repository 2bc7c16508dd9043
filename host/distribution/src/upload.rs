//! Brings an image to a registry: its blobs, each in one request, then the manifest that names them.

use bytes::Bytes;
use http::Method;
use http::header::LOCATION;

use crate::Progress;
use crate::digest;
use crate::error::Fault;
use crate::manifest::MANIFEST;
use crate::session::{Ask, Session, absolute};

const BLOB: &str = "application/octet-stream";

/// Pushes a component; gives the digest of the manifest.
pub(crate) async fn push(
    mut session: Session<'_>,
    component: Bytes,
    (config, manifest): (String, String),
    progress: Progress,
) -> Result<String, Fault> {
    blob(&mut session, config.into(), None).await?;
    blob(&mut session, component, Some(progress)).await?;
    let manifest = Bytes::from(manifest);
    let found = digest(&manifest);
    let version = session.reference.version().to_owned();
    let ask = Ask {
        what: "the manifest",
        method: Method::PUT,
        url: session.url(&format!("manifests/{version}"))?,
        accept: None,
        body: Some((MANIFEST, manifest)),
        progress: None,
    };
    session.send(&ask).await?;
    Ok(found)
}

async fn blob(
    session: &mut Session<'_>,
    bytes: Bytes,
    progress: Option<Progress>,
) -> Result<(), Fault> {
    let (digest, size) = (digest(&bytes), bytes.len() as u64);
    let mut ask = session.get("whether a blob is there", &format!("blobs/{digest}"))?;
    ask.method = Method::HEAD;
    match session.send(&ask).await {
        Ok(_) => {
            if let Some(progress) = progress {
                progress(size, size);
            }
            return Ok(());
        }
        Err(Fault::NotFound { .. }) => {}
        Err(fault) => return Err(fault),
    }
    let begin = Ask {
        what: "the beginning of an upload",
        method: Method::POST,
        url: session.url("blobs/uploads/")?,
        accept: None,
        body: Some((BLOB, Bytes::new())),
        progress: None,
    };
    let begun = session.send(&begin).await?;
    let location = begun.headers().get(LOCATION);
    let location = location
        .and_then(|location| location.to_str().ok())
        .ok_or_else(|| Fault::Broken("the registry says not where to upload to".to_owned()))?;
    let mark = if location.contains('?') { '&' } else { '?' };
    let url = absolute(&begin.url, &format!("{location}{mark}digest={digest}"))?;
    let ask = Ask {
        what: "the upload of a blob",
        method: Method::PUT,
        url,
        accept: None,
        body: Some((BLOB, bytes)),
        progress,
    };
    session.send(&ask).await?;
    Ok(())
}
