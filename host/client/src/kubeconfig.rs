//! Reads a kubeconfig file: which server, whom to trust, who we are.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// What a client needs of the current context of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// `https://host:port`.
    pub server: String,
    /// The certificate authority that signed the server's certificate, PEM.
    pub authority_pem: String,
    /// Our certificate and key, PEM, if the context has them.
    pub certificate: Option<(String, String)>,
    /// The namespace of the context.
    pub namespace: Option<String>,
}

/// A kubeconfig that cannot be used, and which field is to blame.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file cannot be read.
    #[error(
        "cannot read kubeconfig {path}: {source}; pass --kubeconfig or start `osier up`, which writes one"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a kubeconfig.
    #[error("kubeconfig {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Field and fault.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: Option<String>,
    certificate_authority: Option<PathBuf>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: Option<String>,
    client_certificate: Option<PathBuf>,
    client_key_data: Option<String>,
    client_key: Option<PathBuf>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

impl Kubeconfig {
    /// Reads the current context of the file at `path`.
    pub fn read(path: &Path) -> Result<Self, KubeconfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| KubeconfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|reason| KubeconfigError::Malformed {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let name = &file.current_context;
        let context = file.contexts.iter().find(|context| context.name == *name);
        let context = &context
            .ok_or_else(|| format!("current-context {name:?} is not among contexts"))?
            .context;
        let cluster = file
            .clusters
            .iter()
            .find(|cluster| cluster.name == context.cluster);
        let cluster = &cluster
            .ok_or_else(|| format!("cluster {:?} is not among clusters", context.cluster))?
            .cluster;
        let user = file.users.iter().find(|user| user.name == context.user);
        let user = &user
            .ok_or_else(|| format!("user {:?} is not among users", context.user))?
            .user;
        let authority = pem(
            "certificate-authority",
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
            folder,
        )?;
        Ok(Self {
            server: cluster.server.clone(),
            authority_pem: authority
                .ok_or("clusters[].cluster.certificate-authority-data is missing")?,
            certificate: user.certificate(folder)?,
            namespace: context.namespace.clone(),
        })
    }
}

impl User {
    fn certificate(&self, folder: &Path) -> Result<Option<(String, String)>, String> {
        let certificate = pem(
            "client-certificate",
            self.client_certificate_data.as_deref(),
            self.client_certificate.as_deref(),
            folder,
        )?;
        let key = pem(
            "client-key",
            self.client_key_data.as_deref(),
            self.client_key.as_deref(),
            folder,
        )?;
        Ok(certificate.zip(key))
    }
}

/// PEM text that a field holds in base64, or that the file named by its sibling holds.
fn pem(
    field: &str,
    data: Option<&str>,
    path: Option<&Path>,
    folder: &Path,
) -> Result<Option<String>, String> {
    if let Some(data) = data {
        let bytes = STANDARD
            .decode(data.trim())
            .map_err(|error| format!("{field}-data: {error}"))?;
        return String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| format!("{field}-data: {error}"));
    }
    let Some(path) = path else { return Ok(None) };
    let path = folder.join(path);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("{field} {}: {error}", path.display()))?;
    Ok(Some(text))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TEXT: &str = "
apiVersion: v1
kind: Config
current-context: osier
clusters:
- {name: osier, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: Q0E=}}
users:
- {name: admin, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}}
contexts:
- {name: osier, context: {cluster: osier, user: admin, namespace: shop}}
";

    #[test]
    fn the_current_context_is_read() {
        let read = Kubeconfig::parse(TEXT, Path::new(".")).unwrap();
        assert_eq!(read.server, "https://127.0.0.1:6443");
        assert_eq!(read.authority_pem, "CA");
        assert_eq!(
            read.certificate,
            Some(("CERT".to_owned(), "KEY".to_owned()))
        );
        assert_eq!(read.namespace.as_deref(), Some("shop"));
    }

    #[test]
    fn faults_name_the_field() {
        let error = Kubeconfig::parse(&TEXT.replace("Q0E=", "'%'"), Path::new(".")).unwrap_err();
        assert!(error.contains("certificate-authority-data"), "{error}");
        let error = Kubeconfig::parse(
            &TEXT.replace("current-context: osier", "current-context: x"),
            Path::new("."),
        )
        .unwrap_err();
        assert!(error.contains("current-context \"x\""), "{error}");
    }
}
