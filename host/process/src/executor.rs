//! Runs the tasks that hyper starts for HTTP/2 streams among the process's own, so that they drain too.

use crate::Tasks;
use std::future::Future;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn_uncounted(future);
    }
}
