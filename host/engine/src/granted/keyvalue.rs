//! `wasi:keyvalue`: store, atomics and batch, on the buckets that the pod is granted.

use crate::guest::Guest;
use bindings::wasi::keyvalue::{atomics, batch, store};
use osier_capabilities::{Bucket, BucketError};
use store::{Error, KeyResponse};
use wasmtime::component::{HasSelf, Linker, Resource};

mod bindings {
    #![allow(missing_docs, reason = "generated from wit/wasi/keyvalue")]
    wasmtime::component::bindgen!({
        path: "../../wit/wasi/keyvalue",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": osier_capabilities::Bucket },
    });
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;
type This = Resource<Bucket>;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    store::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    atomics::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    batch::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl From<BucketError> for Error {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::ReadOnly => Self::AccessDenied,
            other => Self::Other(other.to_string()),
        }
    }
}

impl Guest {
    fn bucket(&self, this: &This) -> wasmtime::Result<Bucket> {
        Ok(self.table.get(this)?.clone())
    }
}

impl store::Host for Guest {
    async fn open(&mut self, identifier: String) -> Answer<This> {
        let Some(bucket) = self.grants.buckets.get(&identifier).cloned() else {
            let granted: Vec<&str> = self.grants.buckets.keys().map(String::as_str).collect();
            let granted = granted.join(", ");
            self.complain(&format!(
                "wasi:keyvalue: the pod is granted no bucket {identifier:?}, but: {granted}"
            ));
            return Ok(Err(Error::NoSuchStore));
        };
        Ok(Ok(self.table.push(bucket)?))
    }
}

impl store::HostBucket for Guest {
    async fn get(&mut self, this: This, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.bucket(&this)?.get(key).await.map_err(Error::from))
    }

    async fn set(&mut self, this: This, key: String, value: Vec<u8>) -> Answer<()> {
        Ok(self
            .bucket(&this)?
            .set(key, value)
            .await
            .map_err(Error::from))
    }

    async fn delete(&mut self, this: This, key: String) -> Answer<()> {
        Ok(self.bucket(&this)?.delete(key).await.map_err(Error::from))
    }

    async fn exists(&mut self, this: This, key: String) -> Answer<bool> {
        Ok(self.bucket(&this)?.exists(key).await.map_err(Error::from))
    }

    async fn list_keys(&mut self, this: This, cursor: Option<u64>) -> Answer<KeyResponse> {
        let page = self.bucket(&this)?.keys(cursor.unwrap_or_default()).await;
        let response = |page: osier_capabilities::Page| KeyResponse {
            keys: page.keys,
            cursor: page.next,
        };
        Ok(page.map(response).map_err(Error::from))
    }

    async fn drop(&mut self, this: This) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl atomics::Host for Guest {
    async fn increment(&mut self, this: This, key: String, delta: u64) -> Answer<u64> {
        let sum = self.bucket(&this)?.increment(key, delta).await;
        Ok(sum.map_err(Error::from))
    }
}

impl batch::Host for Guest {
    async fn get_many(
        &mut self,
        this: This,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<(String, Vec<u8>)>>> {
        Ok(self
            .bucket(&this)?
            .get_many(keys)
            .await
            .map_err(Error::from))
    }

    async fn set_many(&mut self, this: This, pairs: Vec<(String, Vec<u8>)>) -> Answer<()> {
        Ok(self
            .bucket(&this)?
            .set_many(pairs)
            .await
            .map_err(Error::from))
    }

    async fn delete_many(&mut self, this: This, keys: Vec<String>) -> Answer<()> {
        let deleted = self.bucket(&this)?.delete_many(keys).await;
        Ok(deleted.map_err(Error::from))
    }
}
