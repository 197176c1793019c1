//! The data directory: one process at a time, and the secret that encrypts what is in it.

use crate::Error;
use crate::config::{Config, DatabaseUrl, SecretKey, Setting};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A data directory; with an embedded database this process alone uses it, for as long as this
/// value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Locked; the system lets go of it when the process ends, however it ends.
    _lock: Option<File>,
}

impl DataDir {
    /// Makes the directory, readable by its owner only, unless it is there, and takes it.
    ///
    /// # Errors
    /// Another process uses it, or it cannot be made or written to.
    pub fn open(path: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|cause| failed("make the data directory", path, cause))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: Some(lock(path)?),
        })
    }

    /// A directory that other processes use too, because all that it holds is mails as files;
    /// made when there is one.
    pub fn shared(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            _lock: None,
        }
    }

    /// The directory of this configuration.
    ///
    /// # Errors
    /// Those of [`DataDir::open`].
    pub fn of(config: &Config) -> Result<Self, Error> {
        let path = &config.instance.data_dir;
        match config.instance.database_url {
            DatabaseUrl::File(_) => Self::open(path),
            DatabaseUrl::Server(_) => Ok(Self::shared(path)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where mails are kept when there is no mail server.
    pub fn mail(&self) -> PathBuf {
        self.path.join("mail")
    }

    /// The key that encrypts what is secret at rest: the one `given`, or else the one kept in the
    /// directory, which is made at the first start.
    ///
    /// # Errors
    /// The file cannot be read or written, holds something else, or holds another key than `given`.
    pub fn secret_key(&self, given: Option<&SecretKey>) -> Result<SecretKey, Error> {
        let path = self.path.join("secret.key");
        match (kept_key(&path)?, given) {
            (Some(kept), Some(given)) if kept.expose() != given.expose() => {
                Err(Error::SecretKeysDiffer { path })
            }
            (_, Some(given)) => Ok(given.clone()),
            (Some(kept), None) => Ok(kept),
            (None, None) => self.make_key(&path),
        }
    }

    /// Written beside and renamed, so that a crash leaves a whole key or none.
    fn make_key(&self, path: &Path) -> Result<SecretKey, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        let key = SecretKey::new(bytes);
        let new = path.with_extension("key.new");
        let written = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            writeln!(file, "{}", key.expose_base64())?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(|cause| failed("write the secret key", path, cause))?;
        Ok(key)
    }
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let unusable = |cause| failed("write", &path, cause);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number only helps to find the other process; without it the error still holds.
            let _ = file.read_to_string(&mut pid);
            return Err(Error::DataDirInUse {
                path: directory.to_owned(),
                pid: pid.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(cause)) => return Err(failed("lock", &path, cause)),
    }
    file.set_len(0).map_err(unusable)?;
    writeln!(file, "{}", std::process::id()).map_err(unusable)?;
    Ok(file)
}

fn kept_key(path: &Path) -> Result<Option<SecretKey>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            SecretKey::parse(text.trim())
                .map(Some)
                .map_err(|expected| Error::SecretKeyFile {
                    path: path.to_owned(),
                    expected,
                })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed("read the secret key", path, cause)),
    }
}

fn failed(doing: &'static str, path: &Path, cause: std::io::Error) -> Error {
    Error::File {
        doing,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_dir::TestDir;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_is_made_for_its_owner_only() {
        let parent = TestDir::new();
        let path = parent.path().join("a/b");
        let data = DataDir::open(&path).unwrap();
        assert_eq!(mode(data.path()), 0o700);
        assert_eq!(data.mail(), path.join("mail"));
    }

    #[test]
    fn a_second_user_of_a_directory_is_told_who_has_it() {
        let parent = TestDir::new();
        let first = DataDir::open(parent.path()).unwrap();
        let error = DataDir::open(parent.path()).unwrap_err().to_string();
        let pid = format!("(pid {})", std::process::id());
        assert!(error.contains("in use") && error.contains(&pid), "{error}");
        drop(first);
        DataDir::open(parent.path()).unwrap();
    }

    #[test]
    fn a_secret_key_is_made_once_and_kept_for_its_owner_only() {
        let parent = TestDir::new();
        let data = DataDir::open(parent.path()).unwrap();
        let made = data.secret_key(None).unwrap();
        assert_eq!(mode(&parent.path().join("secret.key")), 0o600);
        assert_eq!(data.secret_key(None).unwrap().expose(), made.expose());
        let other = TestDir::new();
        let other = DataDir::open(other.path()).unwrap();
        assert_ne!(other.secret_key(None).unwrap().expose(), made.expose());
    }

    #[test]
    fn a_given_key_is_used_and_never_written() {
        let parent = TestDir::new();
        let data = DataDir::open(parent.path()).unwrap();
        let given = SecretKey::new([7; 32]);
        assert_eq!(data.secret_key(Some(&given)).unwrap().expose(), &[7; 32]);
        assert!(!parent.path().join("secret.key").exists());
    }

    #[test]
    fn a_given_key_that_differs_from_the_kept_one_is_refused() {
        let parent = TestDir::new();
        let data = DataDir::open(parent.path()).unwrap();
        let kept = data.secret_key(None).unwrap();
        assert!(data.secret_key(Some(&kept)).is_ok());
        let error = data.secret_key(Some(&SecretKey::new([7; 32]))).unwrap_err();
        assert!(matches!(error, Error::SecretKeysDiffer { .. }), "{error}");
    }

    #[test]
    fn a_broken_key_file_is_an_error_and_stays_as_it_is() {
        let parent = TestDir::new();
        let data = DataDir::open(parent.path()).unwrap();
        let path = parent.path().join("secret.key");
        std::fs::write(&path, "c2hvcnQ=").unwrap();
        let error = data.secret_key(None).unwrap_err().to_string();
        assert!(
            error.contains("secret.key") && error.contains("32 bytes"),
            "{error}"
        );
        assert!(!error.contains("c2hvcnQ"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c2hvcnQ=");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let parent = TestDir::new();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("data")).unwrap_err().to_string();
        assert!(error.contains("file/data"), "{error}");
    }
}
