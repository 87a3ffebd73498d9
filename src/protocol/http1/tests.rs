//! Tests of the readers, against the writers and against what peers get wrong.

use proptest::prelude::*;

use super::*;

/// What a reader said about bytes that came in these pieces, as text: requests in order, then how it ended.
fn read(pieces: &[&[u8]], limits: Limits) -> Vec<String> {
    let mut reader = RequestReader::new(limits);
    let mut said = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next() {
                Next::NeedMore { .. } => break,
                Next::Request { head, body, keep_alive } => {
                    let body = String::from_utf8_lossy(body);
                    said.push(format!("{head:?} {:?} {body} {keep_alive}", head.fields));
                }
                Next::Fault { what, too_long } => {
                    said.push(format!("{what} {too_long}"));
                    return said;
                }
            }
        }
    }
    said.push(if reader.is_amid() { "amid".to_owned() } else { "idle".to_owned() });
    said
}

fn read_whole(bytes: &str) -> Vec<String> {
    read(&[bytes.as_bytes()], Limits::default())
}

/// The fault that reading the bytes ends with.
fn fault(bytes: &[u8], limits: Limits) -> (String, bool) {
    let mut reader = RequestReader::new(limits);
    reader.feed(bytes);
    loop {
        match reader.next() {
            Next::Fault { what, too_long } => {
                assert_eq!(reader.next(), Next::Fault { what: what.clone(), too_long }, "a fault stays");
                assert!(!reader.is_amid());
                return (what, too_long);
            }
            Next::Request { .. } => {}
            Next::NeedMore { .. } => panic!("no fault in {}", String::from_utf8_lossy(bytes)),
        }
    }
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let said = read_whole(
        "\r\nPOST /cdr?a=%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
         \r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n\
         GET /x HTTP/1.0\r\n\r\nPUT / HTTP/1.1\nConnection: a, Close\nContent-Length: 0, 0\nContent-Length: 0\n\nPO",
    );
    assert_eq!(
        said,
        [
            "POST /cdr?a=%20b HTTP/1.1 \"Host: x\\r\\nContent-Length: 5\\r\\n\" hello true",
            "POST / HTTP/1.1 \"transfer-encoding: Chunked\\r\\n\" abcde true",
            "GET /x HTTP/1.0 \"\"  false",
            "PUT / HTTP/1.1 \"Connection: a, Close\\nContent-Length: 0, 0\\nContent-Length: 0\\n\"  false",
            "amid",
        ]
    );
}

#[test]
fn head_and_length_of_the_body_are_known_before_the_body_is_there() {
    let mut reader = RequestReader::new(Limits::default());
    reader.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n");
    assert_eq!(reader.next(), Next::NeedMore { head: None, body_bytes: 0 });
    assert!(reader.is_amid());
    reader.feed(b"\r\nab");
    let Next::NeedMore { head: Some(head), body_bytes: 2 } = reader.next() else { panic!("the head is whole") };
    assert_eq!(head.get("expect"), Some("100-continue"));
    reader.feed(b"cd");
    assert!(matches!(reader.next(), Next::Request { body: b"cd" | b"abcd", .. }));
    assert_eq!(reader.next(), Next::NeedMore { head: None, body_bytes: 0 });
    assert!(!reader.is_amid());
}

#[test]
fn what_cannot_be_read_is_told_in_words() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n");
    for (fields, words) in [
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length is there twice, with different values"),
        ("Content-Length: 5, 6\r\n", "Content-Length is there twice, with different values"),
        ("Content-Length: five\r\n", "Content-Length is no number: \"five\""),
        ("Content-Length: -5\r\n", "Content-Length is no number: \"-5\""),
        ("Content-Length: \r\n", "Content-Length is no number: \"\""),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "both Content-Length and Transfer-Encoding are there"),
        ("Transfer-Encoding: gzip, chunked\r\n", "the transfer coding is not just \"chunked\": \"gzip, chunked\""),
        ("no colon\r\n", "the head is no HTTP: invalid header name"),
    ] {
        assert_eq!(fault(with(fields).as_bytes(), Limits::default()), (words.to_owned(), false));
    }
    let long = with(&format!("Content-Length: {}\r\n", "x".repeat(10_000)));
    assert!(fault(long.as_bytes(), Limits::default()).0.len() < 200);
    for bytes in [
        &b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"[..],
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/2.0\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02",
        b"POST / HTTP/1.1\r\nX: \xff\r\n\r\n",
    ] {
        assert!(!fault(bytes, Limits::default()).1);
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_is_kept() {
    let limits = Limits { head_bytes: 100, body_bytes: 10 };
    for bytes in [
        format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(100)),
        format!("POST /{}", "x".repeat(100)),
        "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", "9".repeat(40)),
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcdefgh\r\n8\r\nabcdefgh\r\n".to_owned(),
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\nabcdefghijkl".to_owned(),
    ] {
        assert!(fault(bytes.as_bytes(), limits).1, "{bytes}");
    }
    let many = format!("POST / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert!(fault(many.as_bytes(), Limits::default()).1);
}

#[test]
fn head_of_a_request_whose_length_is_refused_is_still_known() {
    let mut reader = RequestReader::new(Limits { head_bytes: 100, body_bytes: 10 });
    reader.feed(b"POST /a HTTP/1.1\r\nContent-Length: 11\r\n\r\n");
    assert!(matches!(reader.next(), Next::Fault { too_long: true, .. }));
    assert_eq!(reader.head().map(|head| head.target), Some("/a"));
    let mut reader = RequestReader::new(Limits::default());
    reader.feed(b"GET /long/before HTTP/1.1\r\n\r\nb\r\n\r\n");
    assert!(matches!(reader.next(), Next::Request { .. }));
    assert!(matches!(reader.next(), Next::Fault { .. }));
    assert_eq!(reader.head(), None);
}

#[test]
fn large_body_in_small_pieces_is_read_in_linear_time_and_its_memory_given_back() {
    let body = vec![b'x'; 4 << 20];
    for message in [
        write_request("POST", "/", &[("Content-Length", "4194304")], &body),
        write_request("POST", "/", &[("Transfer-Encoding", "chunked")], &write_chunks(&body, 7)),
    ] {
        let mut reader = RequestReader::new(Limits::default());
        let mut found = 0;
        for piece in message.chunks(11) {
            reader.feed(piece);
            if let Next::Request { body: read, .. } = reader.next() {
                assert_eq!(read, body);
                found += 1;
            }
        }
        assert_eq!(found, 1);
        assert_eq!(reader.next(), Next::NeedMore { head: None, body_bytes: 0 });
    }
}

/// What a reader said about answers that came in these pieces.
fn answers(pieces: &[&[u8]], unframed: Unframed) -> Vec<NextAnswer> {
    let mut reader = AnswerReader::new(unframed);
    let mut said = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next() {
                NextAnswer::NeedMore => break,
                fault @ NextAnswer::Fault { .. } => {
                    said.push(fault);
                    return said;
                }
                answer @ NextAnswer::Answer { .. } => said.push(answer),
            }
        }
    }
    said.push(reader.end());
    said
}

const fn answer(status: u16, keep_alive: bool) -> NextAnswer {
    NextAnswer::Answer { status, keep_alive }
}

#[test]
fn answers_are_told_apart_whatever_their_bodies() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
        HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n";
    let expected = [answer(200, true), answer(204, true), answer(500, true), answer(201, false), NextAnswer::NeedMore];
    assert_eq!(answers(&[bytes], Unframed::NoBody), expected);
    assert_eq!(answers(&[bytes], Unframed::UntilClose), expected);
}

#[test]
fn answer_without_length_is_over_at_once_or_at_the_end_of_the_connection() {
    let bytes = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(
        answers(&[bytes, bytes], Unframed::NoBody),
        [answer(200, true), answer(200, true), NextAnswer::NeedMore]
    );
    assert_eq!(answers(&[bytes, bytes], Unframed::UntilClose), [answer(200, false)]);
}

#[test]
fn answers_that_are_none_are_faults() {
    for bytes in
        [&b"ICY 200 OK\r\n\r\n"[..], b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
    {
        assert!(matches!(answers(&[bytes], Unframed::NoBody)[..], [NextAnswer::Fault { .. }]));
    }
}

/// Cuts bytes at places drawn from 0..=1000 thousandths.
fn cut<'b>(bytes: &'b [u8], places: &[usize]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| bytes.len() * place / 1000).chain([0, bytes.len()]).collect();
    ends.sort_unstable();
    ends.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn some_request() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..80);
    ("[A-Z]{1,7}", "/[a-z?=&%0-9]{0,20}", body, 0..20_usize).prop_map(|(method, target, body, size)| match size {
        0 => write_request(&method, &target, &[("Content-Length", &body.len().to_string())], &body),
        _ => write_request(&method, &target, &[("Transfer-Encoding", "chunked")], &write_chunks(&body, size)),
    })
}

proptest! {
    #[test]
    fn requests_do_not_depend_on_how_their_bytes_are_cut(
        requests in prop::collection::vec(some_request(), 1..4),
        places in prop::collection::vec(0..1000_usize, 0..12),
        spoil in prop::option::of((0..1000_usize, any::<u8>())),
    ) {
        let mut bytes = requests.join(&b"\r\n"[..]);
        if let Some((place, byte)) = spoil {
            let at = bytes.len() * place / 1000;
            bytes[at] = byte;
        }
        let whole = read(&[&bytes], Limits::default());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(&cut(&bytes, &places), Limits::default()), &whole);
        prop_assert_eq!(&read(&single, Limits::default()), &whole);
        if spoil.is_none() {
            prop_assert_eq!(whole.len(), requests.len() + 1);
        }
    }

    #[test]
    fn a_field_is_found_by_its_name_alone(
        fields in "((Content-Length|content-length|Content|Host| x|)( |\t)?(:|)[ a-z:]{0,6}\r?\n){0,5}",
        name in "(Content-Length|CONTENT|host|x)",
    ) {
        let head = Head { method: "POST", target: "/", minor_version: 1, fields: &fields };
        let first = head.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, value)| value);
        prop_assert_eq!(head.get(&name), first);
    }

    #[test]
    fn what_is_written_is_read(body in prop::collection::vec(any::<u8>(), 0..300), size in 1..40_usize, chunked: bool) {
        let length = body.len().to_string();
        let bytes = if chunked {
            write_request("POST", "/x?y", &[("Transfer-Encoding", "chunked")], &write_chunks(&body, size))
        } else {
            write_request("POST", "/x?y", &[("Content-Length", &length)], &body)
        };
        let mut reader = RequestReader::new(Limits::default());
        reader.feed(&bytes);
        let Next::Request { head, body: read, keep_alive: true } = reader.next() else { panic!("it is whole") };
        prop_assert_eq!((head.method, head.target, head.minor_version), ("POST", "/x?y", 1));
        prop_assert_eq!(read, &body[..]);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..20_usize) {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        read(&pieces, Limits { head_bytes: 64, body_bytes: 64 });
        answers(&pieces, Unframed::NoBody);
        answers(&pieces, Unframed::UntilClose);
    }

    #[test]
    fn answers_do_not_depend_on_how_their_bytes_are_cut(
        statuses in prop::collection::vec((200..600_u16, 0..30_usize, 0..3_usize), 1..5),
        places in prop::collection::vec(0..1000_usize, 0..12),
    ) {
        let bytes: Vec<u8> = statuses.iter().flat_map(|(status, length, form)| {
            let (body, length) = (vec![b'x'; *length], length.to_string());
            match form {
                _ if matches!(status, 204 | 304) => write_answer(*status, &[], b""),
                0 => write_answer(*status, &[("content-length", &length)], &body),
                1 => write_answer(*status, &[("Transfer-Encoding", "chunked")], &write_chunks(&body, 4)),
                _ => write_answer(*status, &[], b""),
            }
        }).collect();
        let mut expected: Vec<_> = statuses.iter().map(|(status, ..)| answer(*status, true)).collect();
        expected.push(NextAnswer::NeedMore);
        prop_assert_eq!(&answers(&[&bytes], Unframed::NoBody), &expected);
        prop_assert_eq!(&answers(&cut(&bytes, &places), Unframed::NoBody), &expected);
    }
}
