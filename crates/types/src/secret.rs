//! Values that must not be seen: they can be neither printed, serialized, cloned nor compared.

use zeroize::Zeroize;

/// A value that is wiped from memory when dropped and that nothing prints.
///
/// It has no `Debug`, `Display`, `Serialize`, `Clone` or `PartialEq`: code that would show it
/// does not compile. It is boxed, so that moving it leaves no copies behind.
pub struct Secret<T: Zeroize + ?Sized>(Box<T>);

/// A secret text.
pub type SecretString = Secret<String>;
/// Secret bytes.
pub type SecretBytes = Secret<Vec<u8>>;

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub fn new(value: T) -> Self {
        Self(Box::new(value))
    }
}

impl<T: Zeroize + ?Sized> Secret<T> {
    /// Shows the value. Every call is a place to review: `cargo xtask tidy` keeps the list of
    /// files that may.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + ?Sized> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl SecretBytes {
    /// The same secret as text, if it is UTF-8.
    pub fn into_text(mut self) -> Option<SecretString> {
        match String::from_utf8(std::mem::take(&mut *self.0)) {
            Ok(text) => Some(SecretString::new(text)),
            Err(refused) => {
                refused.into_bytes().zeroize();
                None
            }
        }
    }
}

impl<'de> serde::Deserialize<'de> for SecretString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(feature = "utoipa")]
mod schema {
    use super::SecretString;
    use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};

    impl utoipa::PartialSchema for SecretString {
        fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
            utoipa::openapi::ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
                .write_only(true)
                .into()
        }
    }
    impl utoipa::ToSchema for SecretString {
        fn name() -> std::borrow::Cow<'static, str> {
            "SecretString".into()
        }
    }
}

#[cfg(test)]
mod tests {
    /// The promise of this module is that certain programs do not compile.
    #[test]
    fn secrets_cannot_be_shown() {
        let cases = trybuild::TestCases::new();
        cases.compile_fail("tests/secret/*.rs");
    }
}
