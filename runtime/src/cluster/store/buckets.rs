//! Clients of stores, made once for each bucket from this process's environment.

use crate::cluster::fault::Fault;
use crate::cluster::policy::Scheme;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is asked of a store.
pub trait Bucket: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Bucket for T {}

/// By their bucket's name.
type Made = HashMap<(Scheme, String), Arc<dyn Bucket>>;

/// The clients that were made.
#[derive(Clone, Default)]
pub struct Buckets {
    made: Arc<Mutex<Made>>,
}

/// A request is tried again for so long; then the job is put back.
const RETRY: Duration = Duration::from_secs(15);

impl Buckets {
    pub fn get(&self, scheme: Scheme, bucket: &str) -> Result<Arc<dyn Bucket>, Fault> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (scheme, bucket.to_owned());
        if let Some(found) = made.get(&key) {
            return Ok(found.clone());
        }
        let client = make(scheme, bucket).map_err(|error| {
            let reason =
                format!("the bucket {bucket} cannot be used: {error}; set the store's variables for this worker");
            Fault::lasting(reason)
        })?;
        made.insert(key, client.clone());
        Ok(client)
    }
}

fn make(scheme: Scheme, bucket: &str) -> Result<Arc<dyn Bucket>, object_store::Error> {
    crate::cluster::connect::use_ring();
    let retry = RetryConfig {
        max_retries: 6,
        retry_timeout: RETRY,
        ..RetryConfig::default()
    };
    // Options of a builder replace those of the environment, so that these are made of it, too.
    let allow_http = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let options = ClientOptions::new()
        .with_allow_http(allow_http)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(120));
    Ok(match scheme {
        Scheme::S3 => Arc::new(
            AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(options)
                .with_retry(retry)
                .build()?,
        ),
        Scheme::Gs => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()?,
        ),
        Scheme::Azure => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_container_name(bucket)
                .with_retry(retry)
                .build()?,
        ),
    })
}
