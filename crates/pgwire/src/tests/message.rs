use super::*;

fn code(tag: u8, body: &'static [u8]) -> String {
    Message::decode(tag, Bytes::from_static(body))
        .unwrap_err()
        .code
        .to_string()
}

#[test]
fn malformed_messages_are_protocol_violations() {
    assert_eq!(code(b'Q', b"select 1"), "08P01");
    assert_eq!(code(b'Q', b"select 1\0rest"), "08P01");
    assert_eq!(code(b'P', b"\0select\0\0\x02\0\0\0\x17"), "08P01");
    assert_eq!(code(b'B', b"\0\0\0\0\0\x01\0\0\0\x09abc\0\0"), "08P01");
    assert_eq!(code(b'B', b"\0\0\0\x01\0\x07\0\0\0\0"), "08P01");
    assert_eq!(code(b'D', b"Zname\0"), "08P01");
    assert_eq!(code(b'S', b"x"), "08P01");
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(code(b'Q', b"select '\xff'\0"), "22021");
    assert_eq!(code(b'P', b"\xc3\0select\0\0\0"), "22021");
}

#[test]
fn a_bind_keeps_null_and_empty_apart() {
    let body = b"p\0s\0\0\0\0\x02\xff\xff\xff\xff\0\0\0\0\0\x01\0\x01";
    let Message::Bind(bind) = Message::decode(b'B', Bytes::from_static(body)).unwrap() else {
        panic!("a bind")
    };
    assert_eq!(bind.params, [None, Some(Bytes::new())]);
    assert_eq!(bind.result_formats, [1]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(tag: u8, body: Vec<u8>) {
        let _ = Message::decode(tag, Bytes::from(body));
    }
}
