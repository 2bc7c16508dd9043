//! The files of one container: per life a current one and at most one older one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file is turned over when it is larger; a life of a container keeps at most twice this.
pub(super) const TURN_OVER: u64 = 5 << 20;

/// The current file of a life.
pub(super) fn current(folder: &Path, life: u32) -> PathBuf {
    folder.join(format!("{life}.log"))
}

/// What was current before.
pub(super) fn older(folder: &Path, life: u32) -> PathBuf {
    folder.join(format!("{life}.log.1"))
}

/// The lives that have a file, oldest first.
pub(super) async fn lives(folder: &Path) -> Vec<u32> {
    let mut lives = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else {
        return lives;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name();
        lives.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".log")?.parse::<u32>().ok()),
        );
    }
    lives.sort_unstable();
    lives
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Appender {
    folder: PathBuf,
    life: u32,
    open: Option<(File, u64)>,
    limit: u64,
}

impl Appender {
    pub(super) fn new(folder: PathBuf, life: u32, limit: u64) -> Self {
        Self {
            folder,
            life,
            open: None,
            limit,
        }
    }

    /// Appends stored lines; true when the file was turned over before.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<bool> {
        let mut turned = false;
        if self
            .open
            .as_ref()
            .is_some_and(|(_, size)| *size >= self.limit)
        {
            self.open = None;
            std::fs::rename(
                current(&self.folder, self.life),
                older(&self.folder, self.life),
            )?;
            turned = true;
        }
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        file.write_all(lines)?;
        self.open = Some((file, size + lines.len() as u64));
        Ok(turned)
    }

    fn create(&self) -> io::Result<(File, u64)> {
        std::fs::create_dir_all(&self.folder)?;
        self.forget_old_lives();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(current(&self.folder, self.life))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// Only this life and the one before are kept.
    fn forget_old_lives(&self) {
        for entry in std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let life = name
                .to_str()
                .and_then(|name| name.split('.').next()?.parse::<u32>().ok());
            if life.is_some_and(|life| life + 1 < self.life)
                && let Err(error) = std::fs::remove_file(entry.path())
            {
                tracing::debug!(%error, "an old log stays");
            }
        }
    }
}
