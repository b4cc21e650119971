//! The HTTP client that the exporter of OpenTelemetry sends with: one that blocks, since a thread of
//! its own does nothing else, and without TLS: the collector is on this machine or next to it.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;

/// Sends requests, one after the other.
#[derive(Debug)]
pub(crate) struct Client(Agent);

impl Client {
    /// One whose requests take no longer than `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        Self(Agent::config_builder().timeout_global(Some(patience)).build().into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.map(|body| body.to_vec());
        let (parts, mut body) = self.0.run(request)?.into_parts();
        let body = body.read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
