//! Reads from a compiled component what it exports.

use super::{Function, Interface};
use crate::ComponentError;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// The exported interfaces, and the index of each of their functions in the same order.
pub(super) fn interfaces(
    component: &Component,
) -> Result<(Vec<Interface>, Vec<ComponentExportIndex>), ComponentError> {
    let engine = component.engine();
    let mut interfaces = Vec::new();
    let mut indices = Vec::new();
    for (name, export) in component.component_type().exports(engine) {
        let ComponentItem::ComponentInstance(instance) = export.ty else {
            continue;
        };
        let Some(within) = component.get_export_index(None, name) else {
            continue;
        };
        let mut functions = Vec::new();
        for (member, item) in instance.exports(engine) {
            let ComponentItem::ComponentFunc(ty) = item.ty else {
                continue;
            };
            let Some(index) = component.get_export_index(Some(&within), member) else {
                continue;
            };
            functions.push(function(name, member, &ty)?);
            indices.push(index);
        }
        interfaces.push(Interface {
            name: name.to_owned(),
            functions,
        });
    }
    Ok((interfaces, indices))
}

fn function(interface: &str, name: &str, ty: &ComponentFunc) -> Result<Function, ComponentError> {
    if ty.async_() {
        let reason =
            format!("{interface}: {name} is an async function; plugins answer synchronously");
        return Err(ComponentError::Invalid { reason });
    }
    let params = ty
        .params()
        .map(|(name, ty)| (name.to_owned(), ty))
        .collect();
    Ok(Function {
        name: name.to_owned(),
        params,
        results: ty.results().next(),
    })
}
