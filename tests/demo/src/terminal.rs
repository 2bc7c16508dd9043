//! What a person sees: numbered steps, a spinner where there is a terminal, plain lines where there is none.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Numbers the steps of one task.
pub(crate) struct Steps {
    total: usize,
    done: usize,
}

/// One step under way; says how long it took when it ends well.
pub(crate) struct Step {
    bar: Option<ProgressBar>,
    began: Instant,
    title: String,
}

impl Steps {
    /// So many steps are to come.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, done: 0 }
    }

    /// Begins the next step.
    pub(crate) fn begin(&mut self, title: &str) -> Step {
        self.done += 1;
        let title = format!("[{}/{}] {title}", self.done, self.total);
        let bar = std::io::stderr().is_terminal().then(|| spinner(&title));
        if bar.is_none() {
            println!("{title}");
        }
        Step {
            bar,
            began: Instant::now(),
            title,
        }
    }
}

impl Step {
    /// Ends the step with one line about what came of it.
    pub(crate) fn done(self, outcome: &str) {
        let took = self.began.elapsed();
        let outcome = format!("{outcome} ({:.1} s)", took.as_secs_f64());
        match &self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                println!("{} — {outcome}", self.title);
            }
            None => println!("      {outcome}"),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner(title: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(title.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
