use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z
const SUITE: u64 = 1_440_938_160;
/// 2013-05-24T00:00:00Z
const S3_EXAMPLES: u64 = 1_369_353_600;

fn scope(service: &str, at: u64) -> Scope<'_> {
    Scope {
        service,
        region: "us-east-1",
        settings: settings(service == S3),
        time: UNIX_EPOCH + Duration::from_secs(at),
    }
}

fn signed(
    credentials: Credentials,
    scope: &Scope<'_>,
    request: (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let proof = signature(credentials, scope, request, headers, SignableBody::Bytes(body)).unwrap();
    let (_, value) = proof.into_iter().find(|(name, _)| name == "authorization").unwrap();
    value.rsplit_once("Signature=").unwrap().1.to_owned()
}

/// Cases of AWS's own signing test suite: github.com/awslabs/aws-c-auth, folder
/// tests/aws-signing-test-suite/v4, file header-signature.txt of each.
#[test]
fn requests_are_signed_as_in_the_suite_of_aws() {
    let at = |path: &str| format!("https://example.amazonaws.com{path}");
    let own = |token: Option<&str>| {
        Credentials::new("AKIDEXAMPLE", SECRET, token.map(str::to_owned), None, "suite")
    };
    for (case, method, path, expected) in [
        (
            "get-vanilla-query-order-encoded",
            "GET",
            "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "post-vanilla-query",
            "POST",
            "/?Param1=value1",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "get-space-normalized",
            "GET",
            "/example%20space/",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "get-slashes-normalized",
            "GET",
            "//example//",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "get-utf8",
            "GET",
            "/%E1%88%B4",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-unreserved",
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
    ] {
        let mut scope = scope("service", SUITE);
        // The suite's requests are written before they are encoded, ours after it.
        scope.settings.percent_encoding_mode = PercentEncodingMode::Single;
        assert_eq!(signed(own(None), &scope, (method, &at(path)), &[], b""), expected, "{case}");
    }
    let headers = [("my-header1", "value1"), ("my-header2", "\"a   b   c\"")];
    let trimmed = signed(own(None), &scope("service", SUITE), ("GET", &at("/")), &headers, b"");
    assert_eq!(trimmed, "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let with_token =
        signed(own(Some(token)), &scope("service", SUITE), ("GET", &at("/")), &[], b"");
    assert_eq!(with_token, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8");
    // Of a signed body.
    let mut with_body = scope("service", SUITE);
    with_body.settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("content-length", "13")];
    let form = signed(own(None), &with_body, ("POST", &at("/")), &headers, b"Param1=value1");
    assert_eq!(form, "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b");
}

/// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples: signature
/// calculations".
#[test]
fn requests_to_s3_are_signed_as_in_its_documentation() {
    let own = || {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "docs")
    };
    let scope = scope(S3, S3_EXAMPLES);
    let at = |path: &str| format!("https://examplebucket.s3.amazonaws.com{path}");
    let range = [("range", "bytes=0-9")];
    for (path, headers, expected) in [
        (
            "/test.txt",
            &range[..],
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("/?lifecycle", &[], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "/?max-keys=2&prefix=J",
            &[],
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        assert_eq!(signed(own(), &scope, ("GET", &at(path)), headers, b""), expected, "{path}");
    }
    let headers =
        [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let body = b"Welcome to Amazon S3.";
    assert_eq!(
        signed(own(), &scope, ("PUT", &at("/test%24file.text")), &headers, body),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    );
}
