//! What the frame of a link's page depends on.

use crate::link::LinkError;
use crate::sessions::tenant_of;
use crate::{Connect, settings};

/// What a link's page may be shown in, and what it may load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Framing {
    /// The origins of the pages that may embed it; nobody may if there are none.
    pub origins: Vec<String>,
    /// The company's picture, an https URL.
    pub picture: Option<String>,
}

impl Connect {
    /// The frame of a link's page, also if the link is over or another browser's: the page then says
    /// so to the same company's customer.
    ///
    /// # Errors
    /// [`LinkError::Unknown`], or the store failed.
    pub async fn framing(&self, token: &str) -> Result<Framing, LinkError> {
        let session = self.inner.session_of(token).await?;
        let own = settings::view(&self.inner.settings_of(tenant_of(&session)).await?);
        Ok(Framing {
            origins: session.allowed_origins.split_whitespace().map(Into::into).collect(),
            picture: own.theme.logo_url,
        })
    }
}
