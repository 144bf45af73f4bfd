//! The catalogue of apps: what Causeway knows of each third party.
//!
//! An *app* is described by a *row*, the file `apps/<slug>/app.yaml`: how a customer connects
//! (the *auth schemes*), where a credential may be sent (the *hosts*), and which request proves
//! that a credential works (*verify*). The rows of the repository are part of the binary; an
//! operator adds or replaces rows with a folder of the same form. Rows are data: they hold no
//! code and no secrets.

mod category;
mod check;
mod embedded;
mod load;
mod reload;
mod row;
mod search;
mod shape;
mod values;

pub use category::Category;
pub use load::{Catalog, CatalogError, Checked};
pub use reload::{Change, Look, Reloaded};
pub use row::{
    AccountAt, Api, ApiKey, App, AuthSchemes, AwsSigV4, Basic, BodyForm, ClientAuth,
    ClientCredentials, Device, ExpiryForm, Field, FieldFormat, FieldOption, HmacAlgorithm,
    HmacSignature, Installation, Introspection, Jwt, JwtAlgorithm, JwtExchange, Keep, KeepPart,
    KeyForm, Mcp, McpRegistration, Method, OAuth1, OAuth1Method, OAuth2, Open, Pagination, Pkce,
    RateHeaders, RateLimit, RateScope, Refresh, ResetForm, Revoke, RevokeMethod, RowRequest,
    ScopeProfile, Scopes, Send, SendBasic, Signature, TextForm, TokenAnswer, TokenBasedOAuth1,
    TokenExchange, TokenKind, TokenPlace, Verify, WebhookSecret, WebhookSignature, Webhooks,
    matches,
};
pub use search::AppFilter;
pub use shape::Shape;
pub use values::{
    AppUrl, FieldName, HostPattern, HostTemplate, JsonPointer, PageUrl, Slug, Template, UrlTemplate,
};
