//! The verbs on objects and collections.

use std::sync::Arc;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Response};
use osier_api::{Object, Status};
use osier_process::body::{self, Body};
use serde_json::{Value, json};

use super::Exchange;
use crate::decode::{self, Format};
use crate::draft;
use crate::objects;
use crate::query::{self, FieldValidation, ListOptions, WriteOptions};
use crate::registry::{Change, DeleteOptions, Deleted, Part, Registry, Write, fresh_token};
use crate::target::Address;
use osier_answers::Representation;
use osier_answers::compress;
use osier_answers::respond;
use osier_answers::{ListMeta, ListWriter, Listing, Renderer};
use osier_protobuf as protobuf;
use osier_store::Entry;

impl<'a> Exchange<'a> {
    pub(super) fn renderer(&self) -> Result<Renderer, Status> {
        let representation = Representation::negotiate(&self.incoming.accept())?;
        let include = osier_answers::include(self.incoming.query.get("includeObject"))?;
        let address = self.address;
        Ok(Renderer {
            resource: address.resource,
            custom: address.custom.clone(),
            api_version: address.api_version(),
            representation,
            include,
        })
    }

    pub(super) fn write(&self) -> Result<Write<'a>, Status> {
        let options = WriteOptions::read(&self.incoming.query)?;
        let mut write = Write::new(self.user, self.address, options);
        write.notes = Arc::clone(&self.incoming.notes);
        // Who does not say a name is called by its program, as upstream does it.
        let agent = self.incoming.header(USER_AGENT).split('/').next();
        let agent = agent.filter(|name| !name.is_empty());
        if let Some(name) = query::field_manager(&self.incoming.query)?.or(agent) {
            write.manager = name.to_owned();
        }
        Ok(write)
    }

    pub(super) fn show(
        &self,
        code: u16,
        object: Object,
        warnings: &[String],
    ) -> Result<Response<Body>, Status> {
        let renderer = self.renderer()?;
        let value = renderer.object(object);
        let mut response = if renderer.representation == Representation::Yaml {
            yaml(code, &value)?
        } else {
            let written = serde_json::to_vec(&value).map_err(Status::internal)?;
            let asked = &self.incoming.head.headers;
            compress::answer(asked, (code, respond::JSON), [Ok(written.into())])?
        };
        respond::warn(&mut response, warnings);
        Ok(response)
    }

    pub(super) async fn get(self) -> Result<Response<Body>, Status> {
        let renderer = self.renderer()?;
        let registry = &self.server.registry;
        if renderer.as_stored().is_none() {
            let object = registry.get(self.address).await?;
            return self.show(200, object, &[]);
        }
        let mut written = Vec::new();
        let entry = registry.entry(self.address)?;
        renderer.write(objects::stored(&entry), &mut written)?;
        let asked = &self.incoming.head.headers;
        compress::answer(asked, (200, respond::JSON), [Ok(written.into())])
    }

    pub(super) async fn list(self) -> Result<Response<Body>, Status> {
        let options = ListOptions::read(&self.incoming.query)?;
        let renderer = self.renderer()?;
        let registry = &self.server.registry;
        if options.watch {
            let watch = registry.watch(self.address, options, renderer)?;
            return Ok(respond::streamed(
                200,
                respond::JSON,
                body::stream(watch.chunks()),
            ));
        }
        match registry.select(self.address, &options).await {
            Err(status) if status.is("Expired") => Ok(expired(&status, options.token.as_deref())),
            selected => {
                let asked = &self.incoming.head.headers;
                shown((registry, self.address), asked, renderer, selected?).await
            }
        }
    }

    /// A list of objects that are in no store.
    pub(super) fn written(
        &self,
        objects: Vec<Object>,
        meta: &ListMeta,
    ) -> Result<Response<Body>, Status> {
        let renderer = self.renderer()?;
        let representation = renderer.representation.clone();
        let mut writer = ListWriter::new(renderer);
        for object in objects {
            writer.push(object)?;
        }
        answered(&self.incoming.head.headers, (writer, representation), meta)
    }

    pub(super) async fn create(mut self) -> Result<Response<Body>, Status> {
        let mut write = self.write()?;
        let bytes = self.incoming.bytes().await?;
        let (object, duplicates) = draft::read(self.address, &self.incoming.media(), &bytes)?;
        let created = self
            .server
            .registry
            .create(&mut write, object, &duplicates)
            .await?;
        self.show(201, created, &write.warnings)
    }

    pub(super) async fn replace(mut self) -> Result<Response<Body>, Status> {
        let object = self.replace_part(Part::Main).await?;
        self.show(200, object.0, &object.1)
    }

    /// Replaces the part of the object that the body is about.
    pub(super) async fn replace_part(
        &mut self,
        part: Part,
    ) -> Result<(Object, Vec<String>), Status> {
        let mut write = self.write()?;
        let bytes = self.incoming.bytes().await?;
        let (mut object, duplicates) = draft::read(self.address, &self.incoming.media(), &bytes)?;
        draft::check_name(self.address, &object)?;
        let mut warnings = Vec::new();
        draft::check_fields(
            self.address,
            &mut object,
            &duplicates,
            write.options.validation,
            &mut warnings,
        )?;
        let make = |_: &Object, _: &mut Vec<String>| Ok(object.clone());
        let stored = self
            .server
            .registry
            .update(&mut write, Change { part, make: &make })
            .await?;
        warnings.extend(write.warnings);
        Ok((stored, warnings))
    }

    pub(super) async fn delete(mut self) -> Result<Response<Body>, Status> {
        let options = self.delete_options().await?;
        let mut write = self.delete_write(&options);
        let deleted = self.server.registry.delete(&mut write, &options).await?;
        match deleted {
            Deleted::Marked(object) => self.show(200, object, &write.warnings),
            Deleted::Gone(object) if self.address.resource.is_shown_deleted() => {
                self.show(200, object, &write.warnings)
            }
            Deleted::Gone(object) => {
                let status = Status::deleted(self.address.resource, object.name(), object.uid());
                let mut response = respond::json(200, &status.to_object());
                respond::warn(&mut response, &write.warnings);
                Ok(response)
            }
        }
    }

    pub(super) fn delete_write(&self, options: &DeleteOptions) -> Write<'a> {
        let options = WriteOptions {
            dry_run: options.dry_run,
            validation: FieldValidation::Ignore,
        };
        let mut write = Write::new(self.user, self.address, options);
        write.notes = Arc::clone(&self.incoming.notes);
        write
    }

    async fn delete_options(&mut self) -> Result<DeleteOptions, Status> {
        let bytes = self.incoming.bytes().await?;
        let media = self.incoming.media();
        let value = if bytes.is_empty() {
            Value::Null
        } else if media.starts_with(protobuf::MEDIA) {
            protobuf::decode(&bytes)?
        } else {
            let format = if media.contains("yaml") {
                Format::Yaml
            } else {
                Format::Json
            };
            let refuse =
                |error| Status::bad_request(format!("the delete options cannot be read: {error}"));
            decode::parse(&bytes, format).map_err(refuse)?.value
        };
        DeleteOptions::read(&value, &self.incoming.query)
    }

    /// Deletes what is chosen, and answers with the list of it as it was, as upstream does.
    pub(super) async fn delete_collection(mut self) -> Result<Response<Body>, Status> {
        let options = self.delete_options().await?;
        let chosen = ListOptions::read(&self.incoming.query)?;
        let renderer = self.renderer()?;
        let (meta, entries) = self.server.registry.select(self.address, &chosen).await?;
        let mut warnings = Vec::new();
        for entry in &entries {
            let head = objects::head(entry)?;
            let mut address = self.address.clone();
            address.name = head.name().to_owned();
            let mut write = Write::new(self.user, &address, self.delete_write(&options).options);
            write.notes = Arc::clone(&self.incoming.notes);
            let options = DeleteOptions {
                uid: Some(head.uid().to_owned()),
                ..options.clone()
            };
            match self.server.registry.delete(&mut write, &options).await {
                // Somebody else was faster, or made a new one of that name.
                Err(status) if status.is("NotFound") || status.is("Conflict") => {}
                Err(status) => return Err(status),
                Ok(_) => warnings.extend(write.warnings),
            }
        }
        let asked = &self.incoming.head.headers;
        let registry = &self.server.registry;
        let mut response =
            shown((registry, self.address), asked, renderer, (meta, entries)).await?;
        respond::warn(&mut response, &warnings);
        Ok(response)
    }
}

/// A list of what is stored, of its bytes where they are shown as they are.
async fn shown(
    (registry, address): (&Registry, &Address),
    asked: &HeaderMap,
    renderer: Renderer,
    (meta, entries): (ListMeta, Vec<Entry>),
) -> Result<Response<Body>, Status> {
    if renderer.as_stored().is_some() {
        let entries = entries.into_iter();
        let stored = entries.map(|entry| (entry.value, entry.modified));
        let chunks = Listing::new(renderer, stored).chunks(&meta);
        return compress::answer(asked, (200, respond::JSON), chunks);
    }
    let representation = renderer.representation.clone();
    let mut writer = ListWriter::new(renderer);
    let mut push = |object| writer.push(object);
    registry.show(address, &entries, &mut push).await?;
    answered(asked, (writer, representation), &meta)
}

/// A list that was made of objects.
fn answered(
    asked: &HeaderMap,
    (writer, representation): (ListWriter, Representation),
    meta: &ListMeta,
) -> Result<Response<Body>, Status> {
    let pieces = writer.finish(meta)?;
    if representation == Representation::Yaml {
        let value = serde_json::from_slice(&pieces.concat()).map_err(Status::internal)?;
        return yaml(200, &value);
    }
    let pieces = pieces.map(|piece| Ok(Bytes::from(piece)));
    compress::answer(asked, (200, respond::JSON), pieces)
}

fn yaml(code: u16, value: &Value) -> Result<Response<Body>, Status> {
    let text = serde_saphyr::to_string(value).map_err(Status::internal)?;
    Ok(respond::bytes(code, "application/yaml", text))
}

/// An expired page comes with a token for going on regardless.
fn expired(status: &Status, token: Option<&str>) -> Response<Body> {
    let mut object = status.to_object();
    if let Some(fresh) = token.and_then(fresh_token) {
        object.set(&["metadata", "continue"], json!(fresh));
    }
    respond::json(status.code, &object)
}
