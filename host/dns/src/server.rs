//! The server: datagrams in a loop of their own, connections through the one accept loop. What the mesh knows is answered at once;
//! only what goes on to resolvers is waited for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_server::proto::op::{Message, ResponseCode};
use http::{Request, Response};
use osier_process::body::{self, Body};
use osier_process::metrics::Metrics;
use osier_process::serve::{
    Choice, Choose, Handle, Limits, Opening, Peer, Security, Stream, Then, serve,
};
use osier_process::{CancellationToken, Tasks};
use osier_snapshot::{Snapshot, Workload};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::OwnedSemaphorePermit;

use crate::chain::{Chain, End};
use crate::forward::{Denied, Forwarder, read_framed, write_framed};
use crate::message::{self, Over, Question, Read};
use crate::metrics::{DnsMetrics, Ended};

/// The largest query over UDP; none of a client's is near it.
const DATAGRAM: usize = 4_096;
/// How long a connection may be silent, and a client may take to read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at the same time.
const CONNECTIONS: usize = 256;
/// How long the loop of datagrams rests after the system refused one.
const REST: Duration = Duration::from_millis(10);

/// The mesh at a moment, and who asks.
pub struct View {
    /// The mesh.
    pub snapshot: Arc<Snapshot>,
    /// The workload whose names these are; `None` where nothing is known of who asks.
    pub asker: Option<Arc<Workload>>,
}

/// Gives the view of the moment.
pub type Look = Arc<dyn Fn() -> View + Send + Sync>;

/// A DNS server. Copies are the same one.
#[derive(Clone)]
pub struct Dns {
    look: Look,
    forwarder: Arc<Forwarder>,
    metrics: DnsMetrics,
    stopping: CancellationToken,
}

/// What is to be done with a message.
enum Step {
    /// Nothing.
    Silence,
    /// Send this.
    Reply(Vec<u8>),
    /// Ask others.
    Errand(Box<Errand>),
}

/// A question that others are asked.
struct Errand {
    question: Box<Question>,
    /// The names that were followed so far.
    chain: Chain,
    domain: Arc<str>,
    _place: OwnedSemaphorePermit,
}

impl Dns {
    /// A server that hands on to these resolvers what the mesh does not know; without any it refuses that.
    pub fn new(look: Look, upstreams: Vec<SocketAddr>, metrics: &Metrics, tasks: &Tasks) -> Self {
        Self {
            look,
            forwarder: Arc::new(Forwarder::new(upstreams)),
            metrics: DnsMetrics::register(metrics),
            stopping: tasks.stopping(),
        }
    }

    /// Answers on both sockets until the tasks stop.
    pub fn serve(&self, (datagrams, connections): (UdpSocket, TcpListener), tasks: &Tasks) {
        let (this, own) = (self.clone(), tasks.clone());
        tasks.spawn("dns datagrams", async move {
            this.take_datagrams(Arc::new(datagrams), &own).await;
        });
        let limits = Limits {
            connections: CONNECTIONS,
            ..Limits::default()
        };
        let security = Security::Chosen(Arc::new(Connections));
        let serving = serve(connections, security, self.clone(), tasks.clone(), limits);
        tasks.spawn("dns connections", serving);
    }

    async fn take_datagrams(&self, socket: Arc<UdpSocket>, tasks: &Tasks) {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let received = tokio::select! {
                received = socket.recv_from(&mut buffer) => received,
                () = self.stopping.cancelled() => return,
            };
            match received {
                Ok((length, client)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.take_datagram(bytes, (&socket, client), tasks).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "no datagram could be read");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    async fn take_datagram(
        &self,
        bytes: &[u8],
        (socket, client): (&Arc<UdpSocket>, SocketAddr),
        tasks: &Tasks,
    ) {
        match self.step(bytes, Over::Datagrams) {
            Step::Silence => {}
            Step::Reply(reply) => send(socket, &reply, client).await,
            Step::Errand(errand) => {
                let (this, socket, bytes) = (self.clone(), Arc::clone(socket), bytes.to_vec());
                tasks.spawn("dns question", async move {
                    let reply = this.run(*errand, (&bytes, Over::Datagrams)).await;
                    send(&socket, &reply, client).await;
                });
            }
        }
    }

    /// Answers a message, or says what must be done to answer it.
    fn step(&self, bytes: &[u8], over: Over) -> Step {
        match message::read(bytes) {
            Read::Question(question) => self.look_up(question, over),
            Read::Silence => Step::Silence,
            Read::Wrong(answer) => {
                self.metrics.ended(Ended::Malformed);
                Step::Reply(answer.to_vec().unwrap_or_default())
            }
        }
    }

    fn look_up(&self, question: Box<Question>, over: Over) -> Step {
        let View { snapshot, asker } = (self.look)();
        let domain = Arc::clone(snapshot.domain());
        if domain.is_empty() {
            // The first snapshot comes soon: who asks again is answered.
            return self.reply(&question, over, (ResponseCode::ServFail, Ended::Failed));
        }
        let stops = question.stops_at_aliases();
        let asked = (question.name.as_str(), question.wanted);
        let chain = Chain::follow(&snapshot, asker.as_deref(), asked, stops);
        match chain.end {
            End::Elsewhere => self.hand_on((question, chain, domain), over),
            _ => self.told(&question, over, (&chain, &domain)),
        }
    }

    /// Prepares to ask others, if that may be.
    fn hand_on(
        &self,
        (question, chain, domain): (Box<Question>, Chain, Arc<str>),
        over: Over,
    ) -> Step {
        match self.forwarder.enter() {
            Ok(place) => Step::Errand(Box::new(Errand {
                question,
                chain,
                domain,
                _place: place,
            })),
            Err(Denied::Nobody) if !chain.is_unknown() => {
                self.told(&question, over, (&chain, &domain))
            }
            Err(Denied::Nobody) => {
                self.reply(&question, over, (ResponseCode::Refused, Ended::Refused))
            }
            Err(Denied::TooMuch) => {
                self.reply(&question, over, (ResponseCode::ServFail, Ended::Refused))
            }
        }
    }

    /// Answers with what the mesh knows.
    fn told(&self, question: &Question, over: Over, (chain, domain): (&Chain, &str)) -> Step {
        self.metrics.ended(match chain.end {
            End::Answered | End::Elsewhere => Ended::Answered,
            End::Nothing => Ended::Nothing,
            End::NoSuchName => Ended::NoSuchName,
        });
        let answer = self.finished(question.answer_of(chain, domain));
        Step::Reply(question.written(&answer, over))
    }

    fn reply(&self, question: &Question, over: Over, (code, how): (ResponseCode, Ended)) -> Step {
        self.metrics.ended(how);
        let answer = self.finished(question.answer(code));
        Step::Reply(question.written(&answer, over))
    }

    fn finished(&self, mut answer: Message) -> Message {
        answer.metadata.recursion_available = self.forwarder.asks();
        answer
    }

    /// Asks others, and answers with what they say.
    async fn run(&self, errand: Errand, (bytes, over): (&[u8], Over)) -> Vec<u8> {
        let began = Instant::now();
        let said = match errand.chain.is_unknown() {
            true => self.forwarder.ask(bytes, over).await,
            false => self.completed(&errand, over).await,
        };
        self.metrics.forwarded(began.elapsed());
        let how = match said {
            Some(_) => Ended::Forwarded,
            None => Ended::Failed,
        };
        self.metrics.ended(how);
        let failed = || {
            let answer = self.finished(errand.question.answer(ResponseCode::ServFail));
            errand.question.written(&answer, over)
        };
        said.unwrap_or_else(failed)
    }

    /// The aliases of the mesh, and behind them what others know of the last one.
    async fn completed(&self, errand: &Errand, over: Over) -> Option<Vec<u8>> {
        let Errand {
            question,
            chain,
            domain,
            ..
        } = errand;
        let asked = question.about(&chain.name)?.to_vec().ok()?;
        let mut said = self.forwarder.ask(&asked, Over::Datagrams).await?;
        let is_cut = |said: &[u8]| said.get(2).is_some_and(|flags| flags & 2 != 0);
        if is_cut(&said) {
            said = self.forwarder.ask(&asked, Over::Stream).await?;
        }
        let said = Message::from_vec(&said).ok()?;
        let mut answer = self.finished(question.answer_of(chain, domain));
        answer.metadata.authoritative = false;
        answer.metadata.response_code = said.metadata.response_code;
        answer.add_answers(said.answers);
        answer.add_authorities(said.authorities);
        Some(question.written(&answer, over))
    }

    /// Answers one message of a connection; `None` ends it.
    async fn answered(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.step(bytes, Over::Stream) {
            Step::Silence => None,
            Step::Reply(reply) => Some(reply),
            Step::Errand(errand) => Some(self.run(*errand, (bytes, Over::Stream)).await),
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(reply, client).await {
        tracing::debug!(%client, %error, "an answer could not be sent");
    }
}

/// Connections are taken as they are.
struct Connections;

impl Choose for Connections {
    fn opening(&self) -> Opening {
        Opening {
            proxy_protocol: false,
            then: Then::Stream,
        }
    }

    fn choose(&self, _so_far: &[u8]) -> Choice {
        Choice::Refused("DNS over TLS is not served".to_owned())
    }
}

impl Handle for Dns {
    async fn handle(&self, _: &Arc<Peer>, _: Request<Body>) -> Response<Body> {
        Response::new(body::empty())
    }

    async fn stream(&self, _: Arc<Peer>, mut stream: Box<dyn Stream>) {
        loop {
            let asked = tokio::select! {
                asked = tokio::time::timeout(PATIENCE, read_framed(&mut stream)) => asked,
                () = self.stopping.cancelled() => return,
            };
            let Ok(Ok(asked)) = asked else {
                return;
            };
            let Some(reply) = self.answered(&asked).await else {
                return;
            };
            let sent = tokio::time::timeout(PATIENCE, write_framed(&mut stream, &reply)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}
