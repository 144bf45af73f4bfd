//! The catalogue of apps: what Causeway knows of each third party.
//!
//! An *app* is described by a *row*, the file `apps/<slug>/app.yaml`: how a customer connects
//! (the *auth schemes*), where a credential may be sent (the *hosts*), and which request proves
//! that a credential works (*verify*). The rows of the repository are part of the binary; an
//! operator adds or replaces rows with a folder of the same form. Rows are data: they hold no
//! code and no secrets.

mod embedded;
mod load;
mod row;
mod values;

pub use load::{Catalog, CatalogError};
pub use row::{
    ApiKey, App, AuthSchemes, Basic, ClientAuth, Introspection, KeyField, OAuth2, Pkce, Refresh,
    Revoke, RevokeMethod, Scopes, TokenKind, TokenPlace, Verify, VerifyMethod,
};
pub use values::{AppUrl, FieldName, HostPattern, JsonPointer, Slug, Template, UrlTemplate};
