use super::*;
use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;
use serde_json::json;

const CANARY: &str = "c4n/4ry+s3cr3t?&\"é\\ x";

fn redactor(secrets: &[&str]) -> Redactor {
    Redactor::new(secrets.iter().map(|secret| secret.as_bytes())).unwrap()
}

#[test]
fn a_text_without_a_secret_is_handed_back_as_it_is() {
    let text = "nothing to see";
    assert!(matches!(redactor(&[CANARY]).redact(text), Cow::Borrowed(same) if same == text));
    assert!(redactor(&[]).is_empty());
    assert!(redactor(&["short"]).is_empty(), "five bytes are below the limit");
    assert!(!redactor(&["longer"]).is_empty());
}

#[test]
fn every_common_form_is_masked() {
    let json = serde_json::to_string(CANARY).unwrap();
    let twice = serde_json::to_string(&json).unwrap();
    for form in [
        CANARY.to_owned(),
        BASE64.encode(CANARY.as_bytes()),
        BASE64URL.encode(CANARY.as_bytes()),
        BASE64URL_NOPAD.encode(CANARY.as_bytes()),
        HEXLOWER.encode(CANARY.as_bytes()),
        HEXUPPER.encode(CANARY.as_bytes()),
        // encodeURIComponent, encodeURI, URLSearchParams, Python's quote, and lower-case digits.
        "c4n%2F4ry%2Bs3cr3t%3F%26%22%C3%A9%5C%20x".to_owned(),
        "c4n/4ry+s3cr3t?&%22%C3%A9%5C%20x".to_owned(),
        "c4n%2F4ry%2Bs3cr3t%3F%26%22%C3%A9%5C+x".to_owned(),
        "c4n/4ry%2Bs3cr3t%3F%26%22%C3%A9%5C%20x".to_owned(),
        "c4n%2f4ry%2bs3cr3t%3f%26%22%c3%a9%5c%20x".to_owned(),
        json.trim_matches('"').to_owned(),
        twice.trim_matches('"').trim_matches('\\').trim_matches('"').to_owned(),
        // PHP's slashes, Python's and Go's escapes.
        json.trim_matches('"').replace('/', "\\/"),
        json.trim_matches('"').replace('é', "\\u00e9"),
        json.trim_matches('"').replace('&', "\\u0026"),
        // <Buffer 63 34 …>
        CANARY.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "),
    ] {
        let line = format!("before {form}, after");
        let masked = redactor(&[CANARY]).redact(&line).into_owned();
        assert_eq!(masked, "before [redacted], after", "{form}");
    }
}

#[test]
fn secrets_that_overlap_are_masked_whole() {
    let redactor = redactor(&["abcdefgh", "efghijkl", "efghijklmnop"]);
    assert_eq!(redactor.redact("<abcdefghijkl>"), "<[redacted]>");
    assert_eq!(redactor.redact("<abcdefghijklmnop>"), "<[redacted]>");
    assert_eq!(redactor.redact("abcdefghabcdefgh!"), "[redacted]!");
}

#[test]
fn the_lines_of_a_long_secret_are_masked_one_by_one() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----\n";
    let redactor = redactor(&[pem]);
    assert_eq!(redactor.redact("  AQEFAASCBKcwggSjAgEAAoIB"), "  [redacted]");
    assert_eq!(redactor.redact("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
}

#[test]
fn a_newline_at_the_end_of_a_secret_does_not_hide_it() {
    assert_eq!(redactor(&["s3cr3t\n"]).redact("<s3cr3t>"), "<[redacted]>");
}

#[test]
fn a_basic_header_is_masked_if_its_composed_value_is_given() {
    let redactor = redactor(&["hunter2!", "demo:hunter2!"]);
    let header = format!("Authorization: Basic {}", BASE64.encode(b"demo:hunter2!"));
    assert_eq!(redactor.redact(&header), "Authorization: Basic [redacted]");
}

#[test]
fn json_is_masked_in_strings_keys_and_numbers() {
    let redactor = redactor(&["s3cr3t-value", "12345678"]);
    let mut value = json!({
        "s3cr3t-value": 1,
        "x s3cr3t-value": {"deep": ["Bearer s3cr3t-value", 12_345_678, 12.5, null, true]},
        "[redacted]": 2,
        "plain": "text",
    });
    redactor.redact_json(&mut value);
    let text = value.to_string();
    assert!(!text.contains("s3cr3t") && !text.contains("12345678"), "{text}");
    assert_eq!(value.as_object().unwrap().len(), 4, "no field is lost: {text}");
    assert_eq!(
        value["x [redacted]"]["deep"],
        json!(["Bearer [redacted]", "[redacted]", 12.5, null, true])
    );
    assert_eq!(value["plain"], "text");
}

#[test]
fn a_secret_that_is_no_text_does_not_cut_a_character() {
    let continuation = Redactor::new([&[0xa9_u8, b'a', b'b', b'c', b'd', b'e', 0xc3][..]]).unwrap();
    assert_eq!(continuation.redact("<éabcdeé>"), "<[redacted]>");
}

proptest! {
    /// Whatever stands around the secret before it is encoded, none of its bits are left.
    #[test]
    fn no_bit_of_a_secret_is_left_in_base64(
        before in "[0-9]{0,7}", secret in "[a-zA-Z/+?~ü]{6,40}", after in "[0-9]{0,7}", url: bool,
    ) {
        let alphabet = if url { BASE64URL } else { BASE64 };
        let text = alphabet.encode(format!("{before}{secret}{after}").as_bytes());
        let masked = redactor(&[&secret]).redact(&text).into_owned();
        let first = before.len() * 8 / 6;
        let last = ((before.len() + secret.len()) * 8).div_ceil(6);
        let (left, right) = masked.split_once(MASK).unwrap();
        let right = right.rsplit_once(MASK).map_or(right, |(_, right)| right);
        prop_assert!(text[..first].starts_with(left), "{text} became {masked}");
        prop_assert!(text[last..].ends_with(right), "{text} became {masked}");
    }

    #[test]
    fn no_secret_is_left_in_any_text(
        secrets in prop::collection::vec("\\PC{6,30}", 1..4),
        pieces in prop::collection::vec(("\\PC{0,20}", 0_usize..3), 0..6),
    ) {
        let texts: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let mut text = String::new();
        for (around, which) in &pieces {
            text.push_str(around);
            text.push_str(texts[which % texts.len()]);
        }
        // Without the masks, because a secret may be a part of the word that masks it.
        let masked = redactor(&texts).redact(&text).replace(MASK, "\0");
        for secret in texts {
            prop_assert!(!masked.contains(secret), "{masked:?} holds {secret:?}");
        }
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is(text in "[a-z {}\":,]{0,200}") {
        prop_assert_eq!(redactor(&["0123456789"]).redact(&text).into_owned(), text);
    }

    #[test]
    fn any_bytes_can_be_secret(secret: Vec<u8>, text in "\\PC{0,100}") {
        let redactor = Redactor::new([&secret[..]]).unwrap();
        let _ = redactor.redact(&text);
    }
}
