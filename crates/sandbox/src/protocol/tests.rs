use super::*;
use proptest::prelude::*;

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_be_bytes(), [kind].as_slice(), payload].concat()
}

#[test]
fn a_frame_is_read_when_it_is_whole() {
    let bytes = frame(b'O', b"hello");
    for short in 0..bytes.len() {
        assert_eq!(parse(&bytes[..short], 100), Ok(None));
    }
    assert_eq!(parse(&bytes, 100), Ok(Some((Frame::Stdout(b"hello"), 10))));
    assert_eq!(parse(&frame(b'H', b""), 100), Ok(Some((Frame::Hello, 5))));
}

#[test]
fn a_frame_that_is_too_long_is_refused_before_it_is_received() {
    let header = [0xff, 0xff, 0xff, 0xff, b'R'];
    assert!(matches!(parse(&header, 100), Err(Violation::Length { .. })));
    assert!(matches!(parse(&frame(b'H', b"x"), 100), Err(Violation::Length { .. })));
    assert_eq!(parse(b"GET / HTTP/1.1\r\n", 100), Err(Violation::Kind(b'/')));
}

#[test]
fn a_result_must_be_of_the_call_and_of_the_form() {
    let ok = br#"{"id":7,"ok":{"value":{"a":[1]},"exports":{"x":1}}}"#;
    let outcome = parse_outcome(ok, 7).unwrap();
    assert_eq!(outcome.ok.unwrap().value.get(), r#"{"a":[1]}"#);
    assert_eq!(parse_outcome(ok, 8).unwrap_err(), Violation::Call);
    for bad in [
        r#"{"id":7}"#,
        r#"{"id":7,"ok":{"value":1,"exports":{}},"error":{"code":"x","message":"y"}}"#,
        r#"{"id":7,"ok":{"value":1,"exports":{},"more":1}}"#,
        r#"{"id":7,"ok":{"value":1,"exports":[]}}"#,
        "garbage",
        "",
    ] {
        assert_eq!(parse_outcome(bad.as_bytes(), 7).unwrap_err(), Violation::Form, "{bad}");
    }
}

#[test]
fn deep_json_is_told_from_brackets_in_texts() {
    let nested = |depth: usize| {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        RawValue::from_string(text).unwrap()
    };
    assert!(!too_deep(&nested(110)));
    assert!(too_deep(&nested(111)));
    // Reading a million levels neither recurses nor fails.
    assert!(too_deep(&nested(1_000_000)));
    let text = format!(r#""\"{}""#, "[".repeat(500));
    assert!(!too_deep(&RawValue::from_string(text).unwrap()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes, 1000);
        let _ = parse_outcome(&bytes, 1);
    }
}
