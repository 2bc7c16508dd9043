//! The authority on a real disk, and its certificates over real TLS.
#![expect(clippy::unwrap_used, reason = "tests")]

use osier_identity::{Authority, IdentityError, Subject, client_config, server_config, subject};
use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn user() -> Subject {
    Subject {
        common_name: "admin".into(),
        organizations: vec!["system:masters".into()],
        ..Subject::default()
    }
}

#[test]
fn an_authority_is_the_same_after_a_restart_and_half_of_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let pki = directory.path().join("pki");
    let made = Authority::open(&pki).unwrap().certificate_pem().to_owned();
    assert_eq!(Authority::open(&pki).unwrap().certificate_pem(), made);
    std::fs::remove_file(pki.join("ca.key")).unwrap();
    let refused = Authority::open(&pki).err().unwrap();
    assert!(
        matches!(refused, IdentityError::Authority { .. })
            && refused.to_string().contains("ca.key"),
        "{refused}"
    );
    let other = Authority::open(&directory.path().join("other")).unwrap();
    drop(other);
    std::fs::copy(directory.path().join("other/ca.key"), pki.join("ca.key")).unwrap();
    assert!(
        Authority::open(&pki)
            .err()
            .unwrap()
            .to_string()
            .contains("does not belong")
    );
}

#[test]
fn the_key_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    Authority::open(&directory.path().join("pki")).unwrap();
    let mode = std::fs::metadata(directory.path().join("pki/ca.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_server_learns_who_the_client_is() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path()).unwrap();
    let spiffe = Some("spiffe://cluster.local/ns/default/sa/reviews".to_owned());
    let server = Subject {
        common_name: "api".into(),
        names: vec!["localhost".into(), "127.0.0.1".into()],
        ..Subject::default()
    };
    let server = server_config(
        authority.certificate_pem(),
        &authority.issue(&server).unwrap(),
    )
    .unwrap();
    let credential = authority
        .issue(&Subject {
            spiffe: spiffe.clone(),
            ..user()
        })
        .unwrap();
    let client = client_config(authority.certificate_pem(), Some(&credential)).unwrap();

    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connect = TlsConnector::from(client).connect(name, near);
    let (_client, accepted) = tokio::join!(connect, TlsAcceptor::from(server).accept(far));
    let accepted = accepted.unwrap();
    let shown = &accepted.get_ref().1.peer_certificates().unwrap()[0];
    assert_eq!(subject(shown).unwrap(), Subject { spiffe, ..user() });
}

#[tokio::test]
async fn a_client_of_another_authority_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::open(&directory.path().join("ours")).unwrap();
    let theirs = Authority::open(&directory.path().join("theirs")).unwrap();
    let server = Subject {
        common_name: "api".into(),
        names: vec!["localhost".into()],
        ..Subject::default()
    };
    let server = server_config(ours.certificate_pem(), &ours.issue(&server).unwrap()).unwrap();
    let client = client_config(
        ours.certificate_pem(),
        Some(&theirs.issue(&user()).unwrap()),
    )
    .unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connect =
        TlsConnector::from(client).connect(ServerName::try_from("localhost").unwrap(), near);
    let (_client, accepted) = tokio::join!(connect, TlsAcceptor::from(server).accept(far));
    assert!(accepted.is_err());
}
