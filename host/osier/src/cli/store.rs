//! `osier store`: what a node stores into a file, and back.

use crate::arguments::{Backup, Restore, StoreCommand, StoreName};
use crate::configuration;
use crate::exit::Failure;
use anyhow::{Context as _, anyhow, bail};
use http::Request;
use http_body_util::BodyExt as _;
use osier_apiserver::{BackupContents, StoreError, StoreKind, check_backup, restore_store};
use osier_process::body::{self, Body};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a refusal.
const MAX_REFUSAL: usize = 64 << 10;

/// Runs what was asked for.
pub(super) fn run(command: &StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Backup(backup) => {
            let saved = super::block_on(save(backup))?;
            tell(&backup.file, saved);
            Ok(())
        }
        StoreCommand::Restore(restore) => again(restore),
    }
}

/// Writes the file aside, and puts it in its place once it is known to be whole.
async fn save(backup: &Backup) -> anyhow::Result<BackupContents> {
    let client = super::connect(&backup.connection)?;
    let request = Request::get("/osier/v1/backup").body(body::empty())?;
    let answer = client.raw(request).await?;
    if !answer.status().is_success() {
        let status = answer.status();
        let bytes = body::read(answer.into_body(), MAX_REFUSAL).await?;
        let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        bail!("{}", told["message"].as_str().unwrap_or(status.as_str()));
    }
    let draft = draft(&backup.file);
    let written = write(&draft, answer.into_body()).await;
    let written = written.and_then(|()| Ok(std::fs::rename(&draft, &backup.file)?));
    let written = written.with_context(|| format!("{}", backup.file.display()));
    if written.is_err() {
        // Best effort: what is left of it is of no use.
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    Ok(check_backup(File::open(&backup.file)?)?)
}

async fn write(path: &Path, mut body: Body) -> anyhow::Result<()> {
    // It holds Secrets.
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow!("the answer ended early: {error}"))?;
        if let Ok(data) = frame.into_data() {
            file.write_all(&data)?;
        }
    }
    file.sync_all()?;
    check_backup(File::open(path)?)?;
    Ok(())
}

fn draft(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

/// Makes the store of a directory anew.
fn again(restore: &Restore) -> Result<(), Failure> {
    let kind = match &restore.store {
        StoreName::Sled => StoreKind::Sled,
        StoreName::Redb => StoreKind::Redb,
        StoreName::Etcd(_) => {
            let words = "an etcd is restored by its own means: `etcdctl snapshot restore`";
            return Err(anyhow!(words).into());
        }
    };
    let directory = configuration::resolve_data_dir(restore.data_dir.as_deref())?;
    let open = || format!("{}", restore.file.display());
    let mut file = File::open(&restore.file).with_context(open)?;
    let restored = restore_store(&directory.join("store"), kind, &mut file);
    let contents = restored.map_err(|error| match error {
        StoreError::Locked { .. } => Failure::InUse(error.to_string()),
        error => Failure::Data(error.to_string()),
    })?;
    tell(&restore.file, contents);
    if !directory.join("pki").exists() {
        eprintln!(
            "Warning: {} is not there: put the one of the node that was saved in its place before it starts, or it makes new keys, \
             which nodes, kubeconfigs and tokens of before do not know",
            directory.join("pki").display()
        );
    }
    Ok(())
}

fn tell(file: &Path, BackupContents { revision, objects }: BackupContents) {
    println!(
        "{}: {objects} objects at revision {revision}",
        file.display()
    );
}
