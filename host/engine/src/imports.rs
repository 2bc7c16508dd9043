//! What a component imports, by name.

use crate::ComponentError;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

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

/// An import whose package is offered but which does not fit: a newer function, another type.
pub(crate) fn unlinked(error: &wasmtime::Error) -> ComponentError {
    let reason = format!("{error:#}");
    let import = reason.split('`').nth(1).unwrap_or("something").to_owned();
    ComponentError::Import {
        import,
        remedy: reason.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
