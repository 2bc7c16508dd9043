//! Messages of DNS: what is asked in one, and what is answered in another. Pure.

use hickory_server::proto::op::{
    Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_server::proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA, SRV, TXT};
use hickory_server::proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::answer::{Data, Wanted};
use crate::chain::{Chain, End};

/// How long an answer may be kept, in seconds: names come and go as pods do.
const TTL: u32 = 5;
/// The largest datagram that is answered, whatever the client would take: what passes every network in one piece
/// (<https://www.dnsflagday.net/2020/>).
const DATAGRAM: u16 = 1_232;
/// The largest without EDNS (RFC 1035, 2.3.4).
const PLAIN: u16 = 512;
/// Bytes before the question (RFC 1035, 4.1.1).
const HEADER: usize = 12;

/// What a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// UDP, where answers have a bound.
    Datagrams,
    /// TCP.
    Stream,
}

/// One question.
#[derive(Debug)]
pub(crate) struct Question {
    message: Message,
    query: Query,
    /// The name, in lower case without its last dot.
    pub(crate) name: String,
    /// What of it is asked.
    pub(crate) wanted: Wanted,
}

/// What a message is.
#[derive(Debug)]
pub(crate) enum Read {
    /// A question.
    Question(Box<Question>),
    /// Something that is answered with this code and nothing else.
    Wrong(Box<Message>),
    /// Nothing that should be answered, such as an answer.
    Silence,
}

/// Reads a message.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let Some(metadata) = header(bytes) else {
        return Read::Silence;
    };
    let wrong = |code| Read::Wrong(Box::new(coded(&metadata, code)));
    let Ok(message) = Message::from_vec(bytes) else {
        return wrong(ResponseCode::FormErr);
    };
    if message.metadata.op_code != OpCode::Query {
        return wrong(ResponseCode::NotImp);
    }
    let ([query], Some(_)) = (message.queries.as_slice(), question(bytes)) else {
        return wrong(ResponseCode::FormErr);
    };
    let query = query.clone();
    let question = Question {
        name: text(query.name()),
        wanted: wanted(query.query_type()),
        message,
        query,
    };
    match question.refused() {
        Some(code) => Read::Wrong(Box::new(question.answer(code))),
        None => Read::Question(Box::new(question)),
    }
}

/// The head of a query; `None` if the bytes are none.
fn header(bytes: &[u8]) -> Option<Metadata> {
    let [high, low, flags, ..] = bytes.get(..HEADER)? else {
        return None;
    };
    let id = u16::from_be_bytes([*high, *low]);
    let op_code = OpCode::from_u8((flags >> 3) & 0xf);
    let is_query = flags & 0x80 == 0;
    is_query.then(|| Metadata::new(id, MessageType::Query, op_code))
}

fn coded(asked: &Metadata, code: ResponseCode) -> Message {
    let mut answer = Message::response(asked.id, asked.op_code);
    answer.metadata = Metadata::response_from_request(asked);
    answer.metadata.response_code = code;
    answer
}

/// The bytes of the only question of a message, if it is written without a reference to elsewhere.
pub(crate) fn question(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.get(HEADER..)?;
    let mut at = 0;
    loop {
        match rest.get(at)? {
            0 => return rest.get(..at + 5),
            length if *length < 0x40 => at += usize::from(*length) + 1,
            _ => return None,
        }
    }
}

fn wanted(kind: RecordType) -> Wanted {
    match kind {
        RecordType::A => Wanted::V4,
        RecordType::AAAA => Wanted::V6,
        RecordType::ANY => Wanted::Addresses,
        RecordType::SRV => Wanted::Port,
        RecordType::PTR => Wanted::Name,
        RecordType::TXT => Wanted::Text,
        _ => Wanted::Other,
    }
}

/// A name in lower case without its last dot.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

impl Question {
    /// Whether the name itself is meant where it is an alias.
    pub(crate) fn stops_at_aliases(&self) -> bool {
        self.query.query_type() == RecordType::CNAME
    }

    fn refused(&self) -> Option<ResponseCode> {
        let kind = self.query.query_type();
        if self.message.version() > 0 {
            return Some(ResponseCode::BADVERS);
        }
        let transfers = matches!(kind, RecordType::AXFR | RecordType::IXFR);
        let foreign = self.query.query_class() != DNSClass::IN;
        (transfers || foreign).then_some(ResponseCode::Refused)
    }

    /// An answer without records.
    pub(crate) fn answer(&self, code: ResponseCode) -> Message {
        let mut answer = coded(&self.message.metadata, code);
        answer.add_query(self.query.clone());
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(DATAGRAM);
            answer.set_edns(edns);
        }
        answer
    }

    /// The answer of a chain of names in a cluster of this domain.
    pub(crate) fn answer_of(&self, chain: &Chain, domain: &str) -> Message {
        let code = match chain.end {
            End::NoSuchName => ResponseCode::NXDomain,
            _ => ResponseCode::NoError,
        };
        let mut answer = self.answer(code);
        answer.metadata.authoritative = true;
        let first = self.query.name();
        answer.add_answers(chain.records.iter().filter_map(|(owner, data)| {
            // Who asks with capitals in places of his choice wants to see them again.
            let owner = match *owner == self.name {
                true => first.clone(),
                false => name(owner)?,
            };
            Some(Record::from_rdata(owner, TTL, rdata(data)?))
        }));
        if matches!(chain.end, End::NoSuchName | End::Nothing) {
            answer.add_authorities(authority(&chain.name, domain));
        }
        answer
    }

    /// The same question about another name, with an id of its own.
    pub(crate) fn about(&self, host: &str) -> Option<Message> {
        let mut asked = Message::query();
        asked.metadata.recursion_desired = true;
        asked.add_query(Query::query(name(host)?, self.query.query_type()));
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM);
        asked.set_edns(edns);
        Some(asked)
    }

    /// An answer as it goes over the wire: cut where it is too long for a datagram, so that the client asks again over TCP.
    pub(crate) fn written(&self, answer: &Message, over: Over) -> Vec<u8> {
        let most = match (over, &self.message.edns) {
            (Over::Stream, _) => u16::MAX,
            (Over::Datagrams, None) => PLAIN,
            (Over::Datagrams, Some(edns)) => edns.max_payload().clamp(PLAIN, DATAGRAM),
        };
        let bytes = answer.to_vec().unwrap_or_default();
        let fits = !bytes.is_empty() && bytes.len() <= usize::from(most);
        match fits {
            true => bytes,
            false => answer.truncate().to_vec().unwrap_or_default(),
        }
    }
}

fn rdata(data: &Data) -> Option<RData> {
    Some(match data {
        Data::Address(std::net::IpAddr::V4(address)) => RData::A(A(*address)),
        Data::Address(std::net::IpAddr::V6(address)) => RData::AAAA(AAAA(*address)),
        Data::Port(port, host) => RData::SRV(SRV::new(0, 100, *port, name(host)?)),
        Data::Name(host) => RData::PTR(PTR(name(host)?)),
        Data::Alias(host) => RData::CNAME(CNAME(name(host)?)),
        Data::Text(text) => RData::TXT(TXT::new(vec![(*text).to_owned()])),
    })
}

/// Who says that a name has nothing, and for how long that may be kept (RFC 2308). A host of a ServiceEntry is a zone of its own.
fn authority(host: &str, domain: &str) -> Option<Record> {
    let inside = host.strip_suffix(domain);
    let inside = inside.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let zone = if inside { domain } else { host };
    let (server, person) = (
        name(&format!("ns.dns.{domain}"))?,
        name(&format!("hostmaster.{domain}"))?,
    );
    // Nobody transfers the zone: what says when, says nothing.
    let data = SOA::new(server, person, 1, 3_600, 600, 86_400, TTL);
    Some(Record::from_rdata(name(zone)?, TTL, RData::SOA(data)))
}

#[cfg(test)]
mod tests;
