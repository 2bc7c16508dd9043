//! What runs beside a container, in its sandbox: a function that its component exports, its program once more, or a tool.

mod program;

use std::sync::Arc;

use osier_api::Status;
use osier_engine::{Container, Execution, Exit, Program};

use crate::components::Components;
use crate::live::LiveContainer;
use osier_life::Ended;
use program::{Choice, Own, choose};

/// What is run, or the words why nothing is.
pub(crate) type Prepared = Result<Execution, String>;

/// Makes ready what is run for these words.
pub(crate) async fn prepare(
    components: &Arc<Components>,
    live: &LiveContainer,
    words: Vec<String>,
) -> Result<Prepared, Status> {
    let container = live.body.container();
    let functions = live.workload.functions();
    let own = Own {
        functions: &functions,
        is_program: live.workload.is_command(),
        names: [
            Some(live.name.as_str()),
            container.args.first().map(String::as_str),
        ],
    };
    let first = words.first().map(String::as_str).unwrap_or_default();
    let choice = choose(first, &own);
    let (workload, program) = match choice {
        Choice::Program => (live.workload.clone(), Program::Run),
        Choice::Function => (live.workload.clone(), Program::Function(first.to_owned())),
        Choice::Tool => {
            let toolbox = components.toolbox().await;
            let toolbox = toolbox.map_err(|error| Status::internal(error.to_string()))?;
            (toolbox, Program::Run)
        }
        Choice::Nothing(words) => return Ok(Err(words)),
    };
    let sandbox = Container {
        args: words,
        ..container.clone()
    };
    let execution = workload.beside(sandbox, &live.body.account(), &program);
    Ok(execution.map_err(|error| error.to_string()))
}

/// How a command ended, in words and exit codes that people know; 127 is a command that is not there.
pub(crate) fn ended(exit: &Exit) -> (i32, String) {
    let Ended {
        exit_code, message, ..
    } = Ended::of(exit);
    (exit_code, message)
}
