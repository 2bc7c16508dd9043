//! A real etcd, Debian's `etcd-server`: one member or several, plain or with TLS, each of which can be killed and started again.

use crate::deadline::until_blocking;
use crate::debian;
use anyhow::{Context, Result, bail, ensure};
use osier_identity::{Authority, Credential, Subject};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a cluster may take to elect a leader: disks of test machines are slow.
const START: Duration = Duration::from_secs(60);
/// How often a cluster is begun again whose ports somebody else took meanwhile.
const TRIES: usize = 5;
const AUTHORITY: &str = "ca.crt";
const CERTIFICATE: &str = "etcd.crt";
const KEY: &str = "etcd.key";

/// A running cluster. Ends when it is dropped.
pub struct Etcd {
    members: Vec<Member>,
    folder: TempDir,
    program: PathBuf,
    tls: bool,
}

struct Member {
    client: u16,
    peer: u16,
    child: Option<Child>,
}

impl Etcd {
    /// A cluster of so many members that takes plain connections.
    pub fn start(members: usize) -> Result<Self> {
        Self::begin(members, false)
    }

    /// One member that takes only clients with a certificate of its authority.
    pub fn secure() -> Result<Self> {
        Self::begin(1, true)
    }

    fn begin(members: usize, tls: bool) -> Result<Self> {
        for _ in 1..TRIES {
            if let Ok(etcd) = Self::try_begin(members, tls) {
                return Ok(etcd);
            }
        }
        Self::try_begin(members, tls)
    }

    fn try_begin(members: usize, tls: bool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("etcd-").tempdir()?;
        let mut etcd = Self {
            members: ports(members)?,
            folder,
            program: program()?,
            tls,
        };
        if tls {
            etcd.certify()?;
        }
        for place in 0..members {
            etcd.launch(place)?;
        }
        for place in 0..members {
            etcd.healthy(place)?;
        }
        Ok(etcd)
    }

    /// What `--store` takes.
    pub fn location(&self) -> String {
        let members: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("127.0.0.1:{}", member.client))
            .collect();
        format!("etcd://{}", members.join(","))
    }

    /// Where its members keep what they know.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its authority, and a certificate and key for clients, are.
    pub fn credential(&self) -> [PathBuf; 3] {
        [AUTHORITY, CERTIFICATE, KEY].map(|name| self.folder.path().join(name))
    }

    /// The member that leads.
    pub fn leader(&self) -> Result<usize> {
        for (place, member) in self.members.iter().enumerate() {
            let status = member
                .ask("POST", "/v3/maintenance/status", "{}")
                .and_then(|text| Ok(serde_json::from_str::<Value>(&text)?));
            if let Ok(status) = status
                && status["leader"].is_string()
                && status["leader"] == status["header"]["member_id"]
            {
                return Ok(place);
            }
        }
        bail!("no member of etcd leads")
    }

    /// Ends a member as a power cut would.
    pub fn kill(&mut self, member: usize) -> Result<()> {
        let child = self.members[member].child.take();
        let mut child = child.context("the member does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Forgets all that a killed member knew.
    pub fn wipe(&self, member: usize) -> Result<()> {
        Ok(std::fs::remove_dir_all(
            self.folder.path().join(format!("m{member}")),
        )?)
    }

    /// Starts a killed member again.
    pub fn restart(&mut self, member: usize) -> Result<()> {
        ensure!(
            self.members[member].child.is_none(),
            "the member still runs"
        );
        self.launch(member)?;
        self.healthy(member)
    }

    fn certify(&self) -> Result<()> {
        let authority = Authority::open(&self.folder.path().join("pki"))?;
        let Credential {
            certificate_pem,
            key_pem,
        } = authority.issue(&Subject {
            common_name: "etcd".to_owned(),
            names: vec!["127.0.0.1".to_owned()],
            ..Subject::default()
        })?;
        let files = self.credential();
        let texts = [authority.certificate_pem(), &certificate_pem, &key_pem];
        for (file, text) in files.iter().zip(texts) {
            std::fs::write(file, text)?;
        }
        Ok(())
    }

    fn launch(&mut self, place: usize) -> Result<()> {
        let scheme = if self.tls { "https" } else { "http" };
        let client = format!("{scheme}://127.0.0.1:{}", self.members[place].client);
        let peer = format!("http://127.0.0.1:{}", self.members[place].peer);
        let cluster: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(place, member)| format!("m{place}=http://127.0.0.1:{}", member.peer))
            .collect();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("m{place}.log")))?;
        let mut command = Command::new(&self.program);
        command
            .args(["--logger", "zap", "--log-outputs", "stderr"])
            .args(["--name", &format!("m{place}"), "--data-dir"])
            .arg(self.folder.path().join(format!("m{place}")))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(",")]);
        if self.tls {
            let [authority, certificate, key] = self.credential();
            command
                .arg("--client-cert-auth")
                .arg("--trusted-ca-file")
                .arg(authority)
                .arg("--cert-file")
                .arg(certificate)
                .arg("--key-file")
                .arg(key);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start etcd")?;
        self.members[place].child = Some(child);
        Ok(())
    }

    /// Waits until a member knows a leader; of one with TLS, until it listens.
    fn healthy(&mut self, place: usize) -> Result<()> {
        let tls = self.tls;
        let member = &mut self.members[place];
        let answered = until_blocking("etcd is healthy", START, || {
            let left = member.child.as_mut().map(Child::try_wait).transpose()?;
            if let Some(Some(status)) = left {
                return Ok(Some(Err(status)));
            }
            if tls {
                return Ok(TcpStream::connect(("127.0.0.1", member.client))
                    .ok()
                    .map(|_| Ok(())));
            }
            let healthy = member.ask("GET", "/health", "")?.contains("\"true\"");
            Ok(healthy.then_some(Ok(())))
        })?;
        match answered {
            Ok(()) => Ok(()),
            Err(status) => {
                let log = self.folder.path().join(format!("m{place}.log"));
                let log = std::fs::read_to_string(log).unwrap_or_default();
                bail!("etcd left with {status}:\n{log}")
            }
        }
    }
}

impl Member {
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.client))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: etcd\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        // One chunk, or none at all.
        let json = body.find('{').zip(body.rfind('}'));
        let (from, to) = json.context("no JSON")?;
        Ok(body[from..=to].to_owned())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(child) = &mut member.child {
                let _killed = child.kill();
                let _reaped = child.wait();
            }
        }
    }
}

/// The program: `ETCD_BIN`, on the path, or unpacked from Debian's package.
fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ETCD_BIN") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("etcd"));
    match found.into_iter().find(|file| file.is_file()) {
        Some(found) => Ok(found),
        None => debian::program("etcd-server", "usr/bin/etcd"),
    }
}

/// Members with ports that were free a moment ago: etcd must be told its ports, and those of all its members.
fn ports(members: usize) -> Result<Vec<Member>> {
    let free = || TcpListener::bind("127.0.0.1:0");
    let held: Result<Vec<_>, _> = (0..members * 2).map(|_| free()).collect();
    let held = held?;
    let ports: Result<Vec<_>, _> = held
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect();
    Ok(ports?
        .chunks(2)
        .map(|pair| Member {
            client: pair[0],
            peer: pair[1],
            child: None,
        })
        .collect())
}
