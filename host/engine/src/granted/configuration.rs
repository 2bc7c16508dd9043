//! `wasi:config`: the values of the volumes that the pod names as its configuration.

use crate::guest::Guest;
use bindings::wasi::config::store::{self, Error};
use wasmtime::component::{HasSelf, Linker};

mod bindings {
    #![allow(missing_docs, reason = "generated from wit/wasi/config")]
    wasmtime::component::bindgen!({
        path: "../../wit/wasi/config",
        world: "wasi:config/imports",
        imports: { default: async | trappable },
    });
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    store::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl store::Host for Guest {
    async fn get(&mut self, key: String) -> Answer<Option<String>> {
        let Some(configuration) = self.grants.configuration.clone() else {
            return Ok(Ok(None));
        };
        Ok(configuration.get(key).await.map_err(Error::Io))
    }

    async fn get_all(&mut self) -> Answer<Vec<(String, String)>> {
        let Some(configuration) = self.grants.configuration.clone() else {
            return Ok(Ok(Vec::new()));
        };
        Ok(configuration.all().await.map_err(Error::Io))
    }
}
