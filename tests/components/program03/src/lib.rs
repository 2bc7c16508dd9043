//! A program of WASI 0.3: says its arguments, and fails if they say so.

use wasip3::cli::{environment, stdout};
use wasip3::{wit_bindgen, wit_stream};

struct Program;

wasip3::cli::command::export!(Program);

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let (mut sender, said) = wit_stream::new();
        let line = format!("{}\n", arguments.join(" "));
        wit_bindgen::spawn_local(async move {
            let _unsent = sender.write_all(line.into_bytes()).await;
        });
        stdout::write_via_stream(said).await.map_err(|_| ())?;
        match arguments.iter().any(|word| word == "fail") {
            true => Err(()),
            false => Ok(()),
        }
    }
}
