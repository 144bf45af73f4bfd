//! Keys cannot be shown or copied, and a plaintext does not pass for a seal: such programs do not
//! compile.

#[test]
fn keys_and_plaintexts_stay_what_they_are() {
    trybuild::TestCases::new().compile_fail("tests/keys/*.rs");
}
