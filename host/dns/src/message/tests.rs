//! Bytes in, bytes out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

fn query(name: &str, kind: RecordType, payload: Option<u16>) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(super::name(name).unwrap(), kind));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message
}

fn asked(message: &Message) -> Box<Question> {
    match read(&message.to_vec().unwrap()) {
        Read::Question(question) => question,
        other => panic!("{other:?}"),
    }
}

fn code(bytes: &[u8]) -> ResponseCode {
    match read(bytes) {
        Read::Wrong(answer) => answer.metadata.response_code,
        other => panic!("{other:?}"),
    }
}

fn chain(end: End, records: Vec<(&str, Data)>, last: &str) -> Chain {
    let records = records.into_iter();
    Chain {
        records: records
            .map(|(owner, data)| (owner.to_owned(), data))
            .collect(),
        name: last.to_owned(),
        end,
    }
}

fn many(count: u8) -> Chain {
    let address = |last: u8| Data::Address([10, 0, 0, last].into());
    chain(
        End::Answered,
        (0..count).map(|last| ("db.shop", address(last))).collect(),
        "db.shop",
    )
}

#[test]
fn names_are_read_without_case_and_answered_with_it() {
    let question = asked(&query("ReViews.Shop", RecordType::A, None));
    assert_eq!(
        (question.name.as_str(), question.wanted),
        ("reviews.shop", Wanted::V4)
    );
    let data = Data::Address([10, 96, 0, 1].into());
    let answer = question.answer_of(
        &chain(End::Answered, vec![("reviews.shop", data)], "reviews.shop"),
        "cluster.local",
    );
    assert_eq!(answer.answers[0].name.to_ascii(), "ReViews.Shop.");
    assert_eq!(answer.answers[0].ttl, TTL);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_desired);
    assert_eq!(answer.metadata.id, question.message.metadata.id);
    assert!(
        answer.edns.is_none(),
        "who does not speak of EDNS hears nothing of it"
    );
}

#[test]
fn what_is_no_question_is_told_or_not_answered() {
    let good = query("a.b", RecordType::A, None);
    let bytes = good.to_vec().unwrap();
    for silent in [&[][..], &bytes[..11]] {
        assert!(matches!(read(silent), Read::Silence));
    }
    let mut answer = bytes.clone();
    answer[2] |= 0x80;
    assert!(
        matches!(read(&answer), Read::Silence),
        "answers are not answered"
    );
    assert_eq!(code(&bytes[..bytes.len() - 3]), ResponseCode::FormErr);
    let mut two = good.clone();
    two.add_query(good.queries[0].clone());
    assert_eq!(code(&two.to_vec().unwrap()), ResponseCode::FormErr);
    let mut update = bytes.clone();
    update[2] |= 5 << 3;
    assert_eq!(code(&update), ResponseCode::NotImp);
    let mut chaos = bytes.clone();
    *chaos.last_mut().unwrap() = 3;
    assert_eq!(code(&chaos), ResponseCode::Refused);
    let transfer = query("cluster.local", RecordType::AXFR, None);
    assert_eq!(code(&transfer.to_vec().unwrap()), ResponseCode::Refused);
    let mut newer = query("a.b", RecordType::A, Some(1_232));
    newer.edns.as_mut().unwrap().set_version(1);
    assert_eq!(code(&newer.to_vec().unwrap()), ResponseCode::BADVERS);
}

#[test]
fn long_answers_are_cut_to_what_the_client_takes_and_never_over_tcp() {
    let sizes = [
        (None, 512),
        (Some(4_096), 1_232),
        (Some(100), 512),
        (Some(800), 800),
    ];
    for (payload, most) in sizes {
        let question = asked(&query("db.shop", RecordType::A, payload));
        let answer = question.answer_of(&many(200), "cluster.local");
        let cut = question.written(&answer, Over::Datagrams);
        assert!(cut.len() <= most, "{payload:?}");
        let cut = Message::from_vec(&cut).unwrap();
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        assert_eq!(cut.edns.is_some(), payload.is_some());
        let whole = question.written(&answer, Over::Stream);
        let whole = Message::from_vec(&whole).unwrap();
        assert_eq!(
            (whole.answers.len(), whole.metadata.truncation),
            (200, false)
        );
        let few = question.answer_of(&many(20), "cluster.local");
        let few = Message::from_vec(&question.written(&few, Over::Datagrams)).unwrap();
        assert_eq!((few.answers.len(), few.metadata.truncation), (20, false));
    }
}

#[test]
fn what_is_not_there_comes_with_who_says_so() {
    let authority = |end, name: &str| {
        let question = asked(&query(name, RecordType::AAAA, None));
        let answer = question.answer_of(&chain(end, Vec::new(), name), "cluster.local");
        let [soa] = answer.authorities.as_slice() else {
            panic!("{answer:?}")
        };
        let RData::SOA(data) = &soa.data else {
            panic!("{soa:?}")
        };
        assert_eq!((soa.ttl, data.minimum), (TTL, TTL));
        (answer.metadata.response_code, soa.name.to_ascii())
    };
    let missing = authority(End::NoSuchName, "none.shop.svc.cluster.local");
    assert_eq!(
        missing,
        (ResponseCode::NXDomain, "cluster.local.".to_owned())
    );
    let empty = authority(End::Nothing, "api.example.com");
    assert_eq!(
        empty,
        (ResponseCode::NoError, "api.example.com.".to_owned())
    );
}

#[test]
fn a_chain_shows_every_name() {
    let question = asked(&query("near.shop", RecordType::A, None));
    let records = vec![
        ("near.shop", Data::Alias("reviews.shop".to_owned())),
        ("reviews.shop", Data::Address([10, 96, 0, 1].into())),
    ];
    let answer = question.answer_of(
        &chain(End::Answered, records, "reviews.shop"),
        "cluster.local",
    );
    let kinds: Vec<RecordType> = answer.answers.iter().map(Record::record_type).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A]);
}

#[test]
fn questions_are_found_in_their_bytes() {
    let bytes = query("a.b", RecordType::A, Some(512)).to_vec().unwrap();
    assert_eq!(question(&bytes), Some(&b"\x01a\x01b\0\0\x01\0\x01"[..]));
    let pointed = [&bytes[..12], b"\xc0\x0c\0\x01\0\x01"].concat();
    assert_eq!(question(&pointed), None);
    assert_eq!(question(&bytes[..14]), None);
}
