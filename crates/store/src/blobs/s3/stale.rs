//! Aborts multipart uploads that a crash left unfinished. Their parts take up space in the bucket but do not appear in
//! lists of objects, so they are listed with a signed request of our own (S3's `ListMultipartUploads`).

use std::time::Duration;

use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use object_store::aws::AmazonS3;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use serde::Deserialize;

use super::http::{fault, request_fault};
use super::{Bucket, bounded};

/// How long the signature of a request is valid.
const SIGNED_FOR: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    upload: Vec<Unfinished>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unfinished {
    key: String,
    upload_id: String,
    initiated: String,
}

impl Bucket {
    /// Aborts this bucket's uploads that are old enough for the sweep. Returns how many.
    pub(super) async fn abort_stale(&self) -> Result<usize, Fault> {
        let mut aborted = 0;
        let mut after = (String::new(), String::new());
        loop {
            let page = self.unfinished(&after).await?;
            for upload in page.upload {
                if let Some(path) = self.stale(&upload) {
                    self.abort(&path, &upload.upload_id).await;
                    aborted += 1;
                }
            }
            let next = (page.next_key_marker, page.next_upload_id_marker);
            if !page.is_truncated || next == after {
                return Ok(aborted);
            }
            after = next;
        }
    }

    fn stale(&self, upload: &Unfinished) -> Option<Path> {
        let path = Path::parse(&upload.key).ok()?;
        let begun = Timestamp::parse_rfc3339(&upload.initiated)?;
        let ours = self.id_at(&path).is_some();
        (ours && self.is_old(begun)).then_some(path)
    }

    async fn unfinished(&self, after: &(String, String)) -> Result<Page, Fault> {
        let mut query = vec![("uploads", String::new())];
        if !self.prefix.as_ref().is_empty() {
            query.push(("prefix", format!("{}/", self.prefix)));
        }
        if !after.0.is_empty() {
            query.push(("key-marker", after.0.clone()));
            query.push(("upload-id-marker", after.1.clone()));
        }
        let query = SignedUrlOptions::new().with_query(query);
        let text = bounded(self.ask(&query)).await??;
        quick_xml::de::from_str(&text).map_err(|error| Fault::Internal(error.into()))
    }

    /// The body of the response to a `GET` of the bucket.
    async fn ask(&self, query: &SignedUrlOptions) -> Result<String, Fault> {
        let signer: &AmazonS3 = &self.store;
        let url = signer
            .signed_url_opts(Method::GET, &Path::default(), SIGNED_FOR, query)
            .await
            .map_err(fault)?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| Fault::Internal("the bucket has no URL".into()))?;
        let answer = self.client.execute(request).await.map_err(request_fault)?;
        let body = answer.into_body().bytes().await.map_err(request_fault)?;
        String::from_utf8(body.into()).map_err(|error| Fault::Internal(error.into()))
    }
}
