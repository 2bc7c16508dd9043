//! What the benchmark puts around the proxies that it compares, each a process of its own with one thread: `answer` is the backend
//! behind all of them, `forward` a reverse proxy of hyper and nothing else, which is the limit of the stack that Osier stands on.

mod answer;
mod calls;
mod forward;

use anyhow::Result;
use std::path::PathBuf;

/// A backend or a bare reverse proxy.
#[derive(clap::Parser)]
enum Role {
    /// Answer every request with 1 KiB, and say on a line where.
    Answer,
    /// Answer every call of gRPC with a message of 1 KiB, and say on a line where.
    Calls,
    /// Forward every request to the backend.
    Forward {
        /// The backend's port.
        #[arg(long)]
        backend: u16,
        /// The port of the backend of calls.
        #[arg(long)]
        calls: u16,
        /// The port for bytes as they are.
        #[arg(long)]
        raw: u16,
        /// The port for HTTP/1.1 and HTTP/2 without TLS.
        #[arg(long)]
        plain: u16,
        /// The port for TLS.
        #[arg(long)]
        secure: u16,
        /// The certificate, PEM.
        #[arg(long)]
        certificate: PathBuf,
        /// Its key, PEM.
        #[arg(long)]
        key: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match <Role as clap::Parser>::parse() {
        Role::Answer => answer::run().await,
        Role::Calls => calls::run().await,
        Role::Forward {
            backend,
            calls,
            raw,
            plain,
            secure,
            certificate,
            key,
        } => {
            let tls = forward::tls(&certificate, &key)?;
            let backends = forward::Backends { backend, calls };
            forward::run(backends, (plain, raw), (secure, tls)).await
        }
    }
}
