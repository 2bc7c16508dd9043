//! Components of `wasi:http`: the request goes in, what it sends on comes out, and the response goes back the same way.

use super::super::super::fixture::Given;
use super::Exchanged;
use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response};
use osier_policy::{Carried, FilterMiddleware};
use osier_process::body::{self, Body};

/// Most bytes of a body that a middleware makes.
const MOST: usize = 16 << 20;

impl Exchanged {
    /// Takes the exchange through a middleware. A request that it sends on is answered with the given response, or an empty one.
    pub(super) async fn carried(
        &mut self,
        filter: &FilterMiddleware,
        given: &Given,
    ) -> anyhow::Result<()> {
        let request = self.request()?;
        match filter.carry(request).await {
            Carried::On(request, exchange) => {
                self.goes_on(request).await?;
                match exchange.back(self.response()).await {
                    Ok(response) => self.comes_back(response).await?,
                    Err(reply) => self.reply(*reply),
                }
            }
            Carried::Passed(request) => self.goes_on(request).await?,
            Carried::Answer(response) => {
                self.comes_back(response).await?;
                let reason = "the middleware answered itself".to_owned();
                self.replied = Some((reason, false));
            }
            Carried::Respond(reply) => self.reply(*reply),
        }
        let trailers = [
            (&mut self.request.headers, given.request.trailers()),
            (
                &mut self.headers,
                given.response.as_ref().and_then(|one| one.trailers()),
            ),
        ];
        for (headers, trailers) in trailers {
            headers.extend(trailers.unwrap_or_default());
        }
        Ok(())
    }

    fn request(&self) -> anyhow::Result<Request<Body>> {
        let own = &self.request;
        let mut request = Request::builder()
            .method(own.method.as_str())
            .uri(format!("http://{}{}", own.authority, own.path))
            .body(content(&own.body))
            .context("given.request")?;
        *request.headers_mut() = own.headers.clone();
        let host = HeaderValue::from_str(&own.authority).context("given.request.authority")?;
        request.headers_mut().insert(HOST, host);
        Ok(request)
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(content(&self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    async fn goes_on(&mut self, request: Request<Body>) -> anyhow::Result<()> {
        let (head, body) = request.into_parts();
        let own = &mut self.request;
        own.method = head.method.to_string();
        if let Some(authority) = head.uri.authority() {
            own.authority = authority.to_string();
        }
        if let Some(path) = head.uri.path_and_query() {
            own.path = path.to_string();
        }
        own.headers = unframed(head.headers);
        own.body = whole(body).await?;
        Ok(())
    }

    async fn comes_back(&mut self, response: Response<Body>) -> anyhow::Result<()> {
        let (head, body) = response.into_parts();
        self.status = head.status;
        self.headers = unframed(head.headers);
        self.body = whole(body).await?;
        Ok(())
    }
}

fn content(bytes: &Bytes) -> Body {
    match bytes.is_empty() {
        true => body::empty(),
        false => body::full(bytes.clone()),
    }
}

async fn whole(body: Body) -> anyhow::Result<Bytes> {
    let read = body::read(body, MOST).await;
    read.map_err(|why| anyhow::anyhow!("a body of the middleware: {why}"))
}

/// Without the headers that frame a message, which are the host's.
fn unframed(mut headers: HeaderMap) -> HeaderMap {
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
