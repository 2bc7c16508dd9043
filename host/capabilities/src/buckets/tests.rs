//! Buckets as components see them, and as those see them who write into their directory by other ways.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

fn directory(path: &Path) -> Directory {
    Directory {
        path: path.to_owned(),
        read_only: false,
        durable: true,
    }
}

fn open(path: &Path) -> Bucket {
    Buckets::new(Tasks::new()).open(&directory(path)).unwrap()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[tokio::test]
async fn what_was_set_is_there_and_is_a_file_under_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = open(folder.path());
    assert_eq!(bucket.get("user/1".into()).await.unwrap(), None);
    bucket.set("user/1".into(), b"ada".to_vec()).await.unwrap();
    bucket.set("user/1".into(), b"eve".to_vec()).await.unwrap();
    assert_eq!(bucket.get("user/1".into()).await.unwrap(), bytes("eve"));
    let file = folder.path().join("user%2F1");
    assert_eq!(std::fs::read(&file).unwrap(), b"eve");
    assert!(bucket.exists("user/1".into()).await.unwrap());
    bucket.delete("user/1".into()).await.unwrap();
    bucket.delete("user/1".into()).await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn a_bucket_outlives_who_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).increment("n".into(), 2).await.unwrap();
    std::fs::write(folder.path().join(".osier-9"), "half").unwrap();
    assert_eq!(open(folder.path()).increment("n".into(), 3).await, Ok(5));
    assert!(!folder.path().join(".osier-9").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_open_a_directory_count_together() {
    let folder = tempfile::tempdir().unwrap();
    let buckets = Buckets::new(Tasks::new());
    let one = buckets.open(&directory(folder.path())).unwrap();
    let other = buckets.open(&directory(&folder.path().join("."))).unwrap();
    let counts = [one.clone(), other].map(|bucket| async move {
        for _ in 0..50 {
            bucket.increment("n".into(), 1).await.unwrap();
        }
    });
    let [a, b] = counts;
    tokio::join!(a, b);
    assert_eq!(one.get("n".into()).await.unwrap(), bytes("100"));
}

#[tokio::test]
async fn only_numbers_are_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = open(folder.path());
    bucket.set("n".into(), b"seven".to_vec()).await.unwrap();
    let refused = bucket.increment("n".into(), 1).await.unwrap_err();
    assert!(refused.to_string().contains("\"n\""), "{refused}");
    bucket
        .set("n".into(), u64::MAX.to_string().into_bytes())
        .await
        .unwrap();
    assert!(bucket.increment("n".into(), 1).await.is_err());
}

#[tokio::test]
async fn keys_come_in_pages_without_what_is_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = open(folder.path());
    let pairs = (0..1_000).map(|n| (format!("k{n:04}"), Vec::new()));
    bucket.set_many(pairs.collect()).await.unwrap();
    bucket.set("k1000".into(), Vec::new()).await.unwrap();
    std::fs::write(folder.path().join("a file of somebody's"), "").unwrap();
    let first = bucket.keys(0).await.unwrap();
    assert_eq!((first.keys.len(), first.next), (1_000, Some(1_000)));
    let last = bucket.keys(1_000).await.unwrap();
    assert_eq!((last.keys, last.next), (vec!["k1000".to_owned()], None));
    assert_eq!(bucket.keys(u64::MAX).await.unwrap().keys.len(), 0);
    let many = bucket.get_many(vec!["k0001".into(), "none".into()]).await;
    assert_eq!(many, Ok(vec![Some(("k0001".into(), Vec::new())), None]));
    bucket.delete_many(vec!["k0001".into()]).await.unwrap();
    assert_eq!(bucket.get("k0001".into()).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_too_much_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = open(folder.path());
    bucket.set("k".into(), b"small".to_vec()).await.unwrap();
    let large = vec![0; (1 << 20) + 1];
    let refused = bucket.set("k".into(), large).await.unwrap_err();
    assert!(refused.to_string().contains("1048576"), "{refused}");
    assert_eq!(bucket.get("k".into()).await.unwrap(), bytes("small"));
    let many = vec![String::from("k"); 1_001];
    assert!(bucket.get_many(many).await.is_err());
    assert!(bucket.get("x".repeat(256)).await.is_err());
}

#[tokio::test]
async fn a_bucket_that_is_read_only_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("k"), "v").unwrap();
    let read_only = Directory {
        read_only: true,
        ..directory(folder.path())
    };
    let bucket = Buckets::new(Tasks::new()).open(&read_only).unwrap();
    assert_eq!(bucket.get("k".into()).await.unwrap(), bytes("v"));
    let refused = [
        bucket.set("k".into(), Vec::new()).await.err(),
        bucket.delete("k".into()).await.err(),
        bucket.increment("k".into(), 1).await.err(),
    ];
    assert!(refused.iter().all(|e| *e == Some(BucketError::ReadOnly)));
}

#[tokio::test]
async fn no_link_leads_out_of_a_bucket() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "s").unwrap();
    symlink(&secret, folder.path().join("k")).unwrap();
    symlink(&secret, folder.path().join(".osier-1")).unwrap();
    let bucket = open(folder.path());
    symlink(&secret, folder.path().join(".osier-1")).unwrap();
    assert_eq!(bucket.get("k".into()).await.unwrap(), None);
    assert!(!bucket.exists("k".into()).await.unwrap());
    bucket.set("k".into(), b"own".to_vec()).await.unwrap();
    assert_eq!(bucket.get("k".into()).await.unwrap(), bytes("own"));
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "s");
}
