//! The real Redis, where this machine has one (`apt-get install redis-server`): where nodes share their counters.

use crate::until;
use anyhow::{Context, Result, ensure};
use osier_identity::{Authority, Credential};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running Redis that keeps nothing on a disk. Ends when it is dropped.
pub struct Redis {
    program: PathBuf,
    listens: Vec<String>,
    child: Option<Child>,
    folder: tempfile::TempDir,
}

/// The program, on the path.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).map(|folder| folder.join("redis-server"));
    all.find(|file| file.is_file())
}

impl Redis {
    /// Starts one that listens on a socket of the file system.
    pub async fn start(program: PathBuf) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("redis.sock").display().to_string();
        let listens = ["--port", "0", "--unixsocket", &socket].map(str::to_owned);
        let mut own = Self {
            program,
            listens: listens.into(),
            child: None,
            folder,
        };
        own.again().await?;
        Ok(own)
    }

    /// Starts one that speaks TLS with this certificate on a port, which is the second value.
    pub async fn secure(
        program: PathBuf,
        authority: &Authority,
        credential: &Credential,
    ) -> Result<(Self, u16)> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, text: &str| -> Result<String> {
            let path = folder.path().join(name);
            std::fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let certificate = file("redis.crt", &credential.certificate_pem)?;
        let key = file("redis.key", &credential.key_pem)?;
        let trusted = file("ca.crt", authority.certificate_pem())?;
        let socket = folder.path().join("redis.sock").display().to_string();
        // Redis cannot be told to take any port.
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        let number = port.to_string();
        let listens = [
            "--port",
            "0",
            "--unixsocket",
            &socket,
            "--tls-port",
            &number,
            "--bind",
            "127.0.0.1",
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &trusted,
            "--tls-auth-clients",
            "no",
        ];
        let mut own = Self {
            program,
            listens: listens.map(str::to_owned).into(),
            child: None,
            folder,
        };
        own.again().await?;
        Ok((own, port))
    }

    /// How nodes are told of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The file with the certificate of its authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Stops it as a lost machine would.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("Redis does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts it, empty.
    pub async fn again(&mut self) -> Result<()> {
        let _gone = std::fs::remove_file(self.socket());
        let child = Command::new(&self.program)
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--dir", &self.folder.path().display().to_string()])
            .args(&self.listens)
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        self.child = Some(child);
        let socket = self.socket();
        let listens = || async {
            let answers = tokio::net::UnixStream::connect(&socket).await.is_ok();
            Ok(answers.then_some(()))
        };
        until("Redis listens", Duration::from_secs(20), listens).await?;
        let child = self.child.as_mut().context("Redis does not run")?;
        ensure!(child.try_wait()?.is_none(), "Redis ended at once");
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}
