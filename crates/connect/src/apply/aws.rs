//! AWS Signature Version 4.

use super::{Applied, ApplyError, Outgoing};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use causeway_catalog::AwsSigV4;
use http::header::{CONTENT_TYPE, HeaderName};
use std::time::{Duration, UNIX_EPOCH};

/// The one service whose paths are signed as they are sent, and whose bodies need not be signed:
/// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
pub(super) const S3: &str = "s3";

/// What a signature is for.
struct Scope<'a> {
    service: &'a str,
    region: &'a str,
    settings: SigningSettings,
    time: std::time::SystemTime,
}

impl Applied<'_> {
    pub(super) fn sign_aws(
        &self,
        row: &AwsSigV4,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), ApplyError> {
        let named = match &row.service {
            Some(template) => self.fill(template)?,
            None => None,
        };
        // One key opens many services, and each is at a host that begins with its name.
        let of_host = outgoing.url.host_str().and_then(|host| host.split('.').next());
        let of_host = of_host.unwrap_or_default().to_owned();
        let service = named.as_ref().map_or(of_host.as_str(), |named| named.as_str());
        let region = self.fill(&row.region)?.unwrap_or_default();
        let is_s3 = service == S3;
        let session = row.session_token.as_ref().and_then(|name| self.values.get(name.as_str()));
        let credentials = Credentials::new(
            self.value(row.access_key.as_str())?,
            self.value(row.secret_key.as_str())?,
            session.map(str::to_owned),
            None,
            "connection",
        );
        let body = match outgoing.body.as_deref() {
            Some(body) => SignableBody::Bytes(body),
            // S3 takes a body's word for it over TLS: the same page, "Unsigned payload option".
            None if is_s3 => SignableBody::UnsignedPayload,
            None => return Err(ApplyError::Streamed),
        };
        // What hops may change is left out; the rest is what AWS demands.
        let signed: Vec<(&str, &str)> = outgoing
            .headers
            .iter()
            .filter(|(name, _)| *name == CONTENT_TYPE || name.as_str().starts_with("x-amz-"))
            .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
            .collect::<Result<_, http::header::ToStrError>>()
            .map_err(|_| ApplyError::Unsignable)?;
        let time = UNIX_EPOCH + Duration::from_secs(self.moment.now.as_secs());
        let scope = Scope { service, region: &region, settings: settings(is_s3), time };
        let method = outgoing.method.as_str();
        for (name, value) in
            signature(credentials, &scope, (method, outgoing.url.as_str()), &signed, body)?
        {
            let name: HeaderName = name.parse().map_err(|_| ApplyError::Header)?;
            outgoing.headers.insert(name, super::sensitive(&value)?);
        }
        Ok(())
    }
}

/// Whether all requests by this row are for S3.
pub(super) fn is_s3(row: &AwsSigV4) -> bool {
    row.service.as_ref().is_some_and(|service| service.as_str() == S3)
}

fn settings(is_s3: bool) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if is_s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

/// The headers that prove a request.
fn signature(
    credentials: Credentials,
    scope: &Scope<'_>,
    (method, url): (&str, &str),
    headers: &[(&str, &str)],
    body: SignableBody<'_>,
) -> Result<Vec<(String, String)>, ApplyError> {
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.time)
        .settings(scope.settings.clone())
        .build()
        .map_err(|_| ApplyError::Unsignable)?
        .into();
    let request = SignableRequest::new(method, url, headers.iter().copied(), body)
        .map_err(|_| ApplyError::Unsignable)?;
    let (instructions, _) =
        sign(request, &params).map_err(|_| ApplyError::Unsignable)?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
#[path = "aws/tests.rs"]
mod tests;
