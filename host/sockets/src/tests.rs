//! A pod's network with a way out that a test watches.

use super::*;
use bytes::Bytes;
use osier_process::{Boxed, Tasks};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 7);

/// A way out that leads to nobody but `known`, and keeps what it was asked for.
#[derive(Default)]
struct TestWay {
    asked: Mutex<Vec<String>>,
    joined: Mutex<Vec<DuplexStream>>,
}

impl Way for TestWay {
    fn connect(
        &self,
        to: Destination,
        protocol: Protocol,
        stream: DuplexStream,
    ) -> Boxed<'static, Result<(), Fault>> {
        self.asked
            .lock()
            .push(format!("{protocol:?} {}", to.authority()));
        let is_known = to.address.port() == 5432;
        if is_known {
            self.joined.lock().push(stream);
        }
        let refused = Fault::new(Kind::Denied, "nobody may");
        Box::pin(std::future::ready(is_known.then_some(()).ok_or(refused)))
    }

    fn serve(&self, port: u16, _: DuplexStream) -> Result<(), Fault> {
        Err(Fault::new(Kind::Refused, format!("nobody serves {port}")))
    }

    fn lookup(&self, name: &str) -> Result<Found, Fault> {
        match name {
            "db.example.com" => Ok(Found::ByName),
            "web" => Ok(Found::Addresses(vec![IpAddr::V4(Ipv4Addr::new(
                10, 96, 0, 1,
            ))])),
            _ => Err(Fault::new(Kind::Unknown, "no such name")),
        }
    }
}

fn pod() -> (Arc<Network>, Arc<TestWay>) {
    let way = Arc::new(TestWay::default());
    (Network::new(POD, way.clone(), Tasks::new()), way)
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn elsewhere() -> Caller {
    Caller::Elsewhere(at("10.244.0.9:0"))
}

fn listen(pod: &Arc<Network>, address: &str) -> Listener {
    Listener::on(pod.bind(Protocol::Tcp, at(address)).unwrap(), 2)
}

async fn accepted(listener: &mut Listener) -> Incoming {
    poll_fn(|context| listener.poll_ready(context)).await;
    listener.take().unwrap()
}

#[tokio::test]
async fn who_listens_is_reached_at_the_pods_address_and_from_within() {
    let (pod, _) = pod();
    for (number, address) in ["0.0.0.0:80", "10.244.0.7:81", "[::]:82"]
        .iter()
        .enumerate()
    {
        let mut listener = listen(&pod, address);
        let port = 80 + u16::try_from(number).unwrap();
        let mut far = pod.open(port, elsewhere()).unwrap();
        far.write_all(b"hello").await.unwrap();
        drop(far);
        let mut incoming = accepted(&mut listener).await;
        assert_eq!(incoming.peer, at("10.244.0.9:0"));
        let mut read = String::new();
        incoming.stream.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "hello");
        let from = pod.bind(Protocol::Tcp, at("0.0.0.0:0")).unwrap();
        let within = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        pod.connect(&from, within).await.unwrap();
        assert_eq!(
            accepted(&mut listener).await.peer.ip(),
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        );
        drop(listener);
        assert_eq!(pod.open(port, elsewhere()).unwrap_err().kind, Kind::Refused);
    }
}

#[tokio::test]
async fn what_listens_on_localhost_is_reached_from_within_only() {
    let (pod, _) = pod();
    let mut listener = listen(&pod, "127.0.0.1:80");
    assert_eq!(pod.open(80, elsewhere()).unwrap_err().kind, Kind::Refused);
    assert!(!pod.listens(80, false) && pod.listens(80, true));
    let _stream = pod.open(80, Caller::Within(at("127.0.0.1:0"))).unwrap();
    assert_eq!(accepted(&mut listener).await.peer, at("127.0.0.1:0"));
}

#[test]
fn a_port_is_bound_once_and_only_at_the_pods_addresses() {
    let (pod, _) = pod();
    let bound = pod.bind(Protocol::Tcp, at("0.0.0.0:80")).unwrap();
    let again = |address| {
        pod.bind(Protocol::Tcp, at(address))
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(again("127.0.0.1:80").kind, Kind::InUse);
    assert_eq!(again("10.244.0.8:81").kind, Kind::NotBindable);
    assert!(pod.bind(Protocol::Udp, at("0.0.0.0:80")).is_ok());
    drop(bound);
    assert!(pod.bind(Protocol::Tcp, at("127.0.0.1:80")).is_ok());
}

#[tokio::test]
async fn more_connections_than_the_backlog_are_refused() {
    let (pod, _) = pod();
    let mut listener = listen(&pod, "0.0.0.0:80");
    let _two = [
        pod.open(80, elsewhere()).unwrap(),
        pod.open(80, elsewhere()).unwrap(),
    ];
    let refused = pod.open(80, elsewhere()).unwrap_err();
    assert!(
        refused.reason.contains("too many connections wait"),
        "{refused}"
    );
    let _one = accepted(&mut listener).await;
    assert!(pod.open(80, elsewhere()).is_ok());
}

#[test]
fn a_pod_has_a_bounded_number_of_sockets() {
    let (pod, _) = pod();
    let bind = || pod.bind(Protocol::Tcp, at("0.0.0.0:0"));
    let all: Vec<_> = (0..MOST_SOCKETS).map(|_| bind().unwrap()).collect();
    assert_eq!(bind().map(|_| ()).unwrap_err().kind, Kind::TooMany);
    drop(all);
    assert!(bind().is_ok());
}

#[tokio::test]
async fn a_connection_to_elsewhere_goes_to_the_name_that_was_looked_up() {
    let (pod, way) = pod();
    let address = pod.lookup("DB.example.com.").unwrap()[0];
    assert_eq!(
        pod.lookup("web").unwrap(),
        [IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))]
    );
    assert_eq!(
        pod.lookup("10.1.2.3").unwrap(),
        [IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))]
    );
    assert_eq!(pod.lookup("nowhere").unwrap_err().kind, Kind::Unknown);
    let from = pod.bind(Protocol::Tcp, at("0.0.0.0:0")).unwrap();
    let mut stream = pod
        .connect(&from, SocketAddr::new(address, 5432))
        .await
        .unwrap();
    let mut far = way.joined.lock().pop().unwrap();
    stream.write_all(b"select").await.unwrap();
    drop(stream);
    let mut read = String::new();
    far.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "select");
    let refused = pod.connect(&from, at("192.0.2.1:1")).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Denied);
    assert_eq!(
        *way.asked.lock(),
        ["Tcp db.example.com:5432", "Tcp 192.0.2.1:1"]
    );
}

fn datagrams(pod: &Arc<Network>, address: &str) -> Datagrams {
    Datagrams::on(pod.bind(Protocol::Udp, at(address)).unwrap())
}

async fn received(datagrams: &mut Datagrams) -> Datagram {
    poll_fn(|context| datagrams.poll_ready(context)).await;
    datagrams.take().unwrap()
}

#[tokio::test]
async fn datagrams_within_a_pod_find_their_way_and_back() {
    let (pod, _) = pod();
    let mut server = datagrams(&pod, "127.0.0.1:53");
    let mut client = datagrams(&pod, "0.0.0.0:0");
    client.peer = Some(at("127.0.0.1:53"));
    client
        .send(at("127.0.0.1:53"), Bytes::from_static(b"who"))
        .unwrap();
    let asked = received(&mut server).await;
    assert_eq!(asked.data, Bytes::from_static(b"who"));
    server
        .send(asked.address, Bytes::from_static(b"me"))
        .unwrap();
    let answer = received(&mut client).await;
    assert_eq!(
        (answer.address, answer.data),
        (at("127.0.0.1:53"), Bytes::from_static(b"me"))
    );
    let large = client.send(at("127.0.0.1:53"), Bytes::from(vec![0; DATAGRAM + 1]));
    assert_eq!(large.unwrap_err().kind, Kind::TooLarge);
}

/// The stream of one pod's flow is another's way in: what the door does with it.
#[tokio::test]
async fn datagrams_between_pods_travel_as_a_stream() {
    let ((one, way), (other, _)) = (pod(), pod());
    let mut client = datagrams(&one, "0.0.0.0:0");
    let mut server = datagrams(&other, "0.0.0.0:5432");
    client
        .send(at("10.96.0.9:5432"), Bytes::from_static(b"one"))
        .unwrap();
    client.send(at("10.96.0.9:5432"), Bytes::new()).unwrap();
    let mut near = way.joined.lock().pop().unwrap();
    let mut far = other.open_datagrams(5432, elsewhere()).unwrap();
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    let asked = received(&mut server).await;
    assert_eq!(asked.data, Bytes::from_static(b"one"));
    assert_eq!(asked.address.ip(), IpAddr::V4(Ipv4Addr::new(10, 244, 0, 9)));
    assert_eq!(
        received(&mut server).await.data,
        Bytes::new(),
        "an empty one is one too"
    );
    server
        .send(asked.address, Bytes::from_static(b"two"))
        .unwrap();
    let answer = received(&mut client).await;
    assert_eq!(
        (answer.address, answer.data),
        (at("10.96.0.9:5432"), Bytes::from_static(b"two"))
    );
    assert_eq!(*way.asked.lock(), ["Udp 10.96.0.9:5432"], "one flow");
}

#[tokio::test]
async fn a_refused_flow_is_told_to_whoever_sends_again() {
    let (pod, _) = pod();
    let client = datagrams(&pod, "0.0.0.0:0");
    client.send(at("192.0.2.1:1"), Bytes::new()).unwrap();
    let told = async {
        loop {
            if let Err(fault) = client.send(at("192.0.2.1:1"), Bytes::new()) {
                return fault;
            }
            tokio::task::yield_now().await;
        }
    };
    let fault = tokio::time::timeout(std::time::Duration::from_secs(5), told).await;
    assert_eq!(fault.unwrap().kind, Kind::Denied);
}
