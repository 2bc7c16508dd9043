//! What a component imports, by name.

use crate::ComponentError;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// Size of a WebAssembly page.
const PAGE: u64 = 64 << 10;

/// Names of the imports, without interfaces that hold only types: those link against nothing.
pub(crate) fn names(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let ty = component.component_type();
    let needed = ty.imports(engine).filter(|(_, import)| match &import.ty {
        ComponentItem::ComponentInstance(instance) => !instance
            .exports(engine)
            .all(|(_, export)| matches!(export.ty, ComponentItem::Type(_))),
        ComponentItem::Type(_) => false,
        _ => true,
    });
    needed.map(|(name, _)| name.to_owned()).collect()
}

/// Bytes of linear memory that an instance has before it runs, as far as the component's own modules tell.
pub(crate) fn initial_memory(component: &Component) -> u64 {
    let pages = component
        .resources_required()
        .and_then(|required| required.max_initial_memory_size);
    pages.unwrap_or(0).saturating_mul(PAGE)
}

/// An import whose package is offered but which does not fit: a newer function, another type.
pub(crate) fn unlinked(error: &wasmtime::Error) -> ComponentError {
    let reason = format!("{error:#}");
    let import = reason.split('`').nth(1).unwrap_or("something").to_owned();
    ComponentError::Import {
        import,
        remedy: reason.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
