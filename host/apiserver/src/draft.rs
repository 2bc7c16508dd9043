//! A body on its way to becoming an object: decoded, known to be of the right kind, with only fields that exist.

use osier_api::resources::{CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_ADMISSION_POLICIES};
use osier_api::{Fault, FaultKind, Object, Status, defaults, schema};
use serde_json::{Value, json};

use crate::decode::{self, Document, Format};
use crate::query::FieldValidation;
use crate::target::Address;
use osier_protobuf as protobuf;

/// Reads a body as an object of the resource at `address`. The paths of repeated keys come along.
pub(crate) fn read(
    address: &Address,
    media: &str,
    bytes: &[u8],
) -> Result<(Object, Vec<String>), Status> {
    let document = document(address, media, bytes)?;
    let object = as_object(address, document.value)?;
    Ok((object, document.duplicates))
}

fn document(address: &Address, media: &str, bytes: &[u8]) -> Result<Document, Status> {
    let essence = media.split(';').next().unwrap_or_default().trim();
    let format = match essence {
        "" | "application/json" => Format::Json,
        "application/yaml" | "application/x-yaml" | "text/yaml" => Format::Yaml,
        protobuf::MEDIA => {
            let value = protobuf::decode(bytes)?;
            return Ok(Document {
                value,
                duplicates: Vec::new(),
            });
        }
        other => {
            tracing::debug!(media = other, "a body of an unknown type");
            return Err(Status::unsupported_media_type(&[
                "application/json",
                "application/yaml",
                protobuf::MEDIA,
            ]));
        }
    };
    decode::parse(bytes, format).map_err(|error| unhandled(address, &error))
}

/// `Pod in version "v1" cannot be handled as a Pod: ...`
pub(crate) fn unhandled(address: &Address, detail: &str) -> Status {
    let (kind, version) = (address.resource.kind, &address.version);
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {detail}"
    ))
}

/// Checks `apiVersion` and `kind`, filling them in where they are missing: the address says what is meant.
pub(crate) fn as_object(address: &Address, mut value: Value) -> Result<Object, Status> {
    let Some(map) = value.as_object_mut() else {
        return Err(unhandled(address, "the body is not an object"));
    };
    let resource = address.resource;
    let expected = address.api_version();
    let kind = map
        .entry("kind")
        .or_insert_with(|| json!(resource.kind))
        .as_str()
        .unwrap_or_default();
    if kind != resource.kind {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: the kind in the data does not match the kind of the URL",
            address.version, resource.kind
        )));
    }
    let version = map
        .entry("apiVersion")
        .or_insert_with(|| json!(expected))
        .as_str()
        .unwrap_or_default();
    if version != expected {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if !map
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .is_object()
    {
        return Err(unhandled(address, "metadata: expected an object"));
    }
    Object::from_value(value).map_err(|error| unhandled(address, &error.to_string()))
}

/// Refuses a body that is about another object than the URL.
pub(crate) fn check_name(address: &Address, object: &Object) -> Result<(), Status> {
    let (name, wanted) = (object.name(), &address.name);
    if name.is_empty() || name == wanted {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({wanted})"
    )))
}

/// Applies the caller's wish about unknown fields and repeated keys, refuses wrong types, and drops what is not known.
pub(crate) fn check_fields(
    address: &Address,
    object: &mut Object,
    duplicates: &[String],
    wish: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    if address.custom.is_none() {
        // The schema is that of the stored version.
        let stored = address.resource.storage_api_version();
        *object = osier_answers::in_version(std::mem::take(object), &stored);
    }
    let mut faults = schema::check(address.resource, object);
    if let Some(custom) = &address.custom {
        faults.extend(custom.prune(object));
    }
    let of_kind = |kind| {
        faults
            .iter()
            .filter(move |fault: &&Fault| fault.kind == kind)
            .cloned()
    };
    let wrong: Vec<Fault> = of_kind(FaultKind::WrongType).collect();
    if !wrong.is_empty() {
        return Err(Status::undecodable(
            address.resource,
            &address.version,
            &wrong,
        ));
    }
    let repeated = duplicates
        .iter()
        .map(|path| Fault::new(FaultKind::Duplicate, path, ""));
    let strange: Vec<Fault> = of_kind(FaultKind::Unknown).chain(repeated).collect();
    if strange.is_empty() {
        return Ok(());
    }
    match wish {
        FieldValidation::Strict => {
            return Err(Status::strict_decoding(
                address.resource,
                &address.version,
                &strange,
            ));
        }
        FieldValidation::Warn => warnings.extend(strange.iter().map(|fault| match fault.kind {
            FaultKind::Unknown => format!("unknown field {:?}", fault.field),
            _ => format!("duplicate field {:?}", fault.field),
        })),
        FieldValidation::Ignore => {}
    }
    schema::prune(address.resource, object);
    Ok(())
}

/// The first field that the schema does not know.
pub(crate) fn unknown(address: &Address, object: &Object) -> Option<Fault> {
    let mut faults = schema::check(address.resource, object);
    if let Some(custom) = &address.custom {
        faults.extend(custom.prune(&mut object.clone()));
    }
    faults
        .into_iter()
        .find(|fault| fault.kind == FaultKind::Unknown)
}

/// Puts defaults in, and brings the object to the version that is stored.
pub(crate) fn complete(address: &Address, object: Object) -> Object {
    let mut object = osier_answers::in_version(object, &address.working_api_version());
    if *address.resource == CUSTOM_RESOURCE_DEFINITIONS {
        osier_custom::complete(&mut object);
    }
    if address.resource.group == VALIDATING_ADMISSION_POLICIES.group {
        osier_admission::complete(&mut object);
    }
    defaults::apply(address.stored(), &mut object);
    if let Some(custom) = &address.custom {
        custom.complete(&mut object);
    }
    object
}
