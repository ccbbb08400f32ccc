//! Work on large texts. It runs outside the async workers, so that it delays no other request.
//!
//! Invariant: an async worker processes a text only if that takes less than about a millisecond. The number of larger texts
//! that are processed at once is bounded.

use std::panic::resume_unwind;

use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::Failure;

/// The largest text that an async worker processes, in bytes.
const SMALL: usize = 16 * 1024;

/// How many large texts the process works on at once.
const AT_ONCE: u32 = 2;
static LARGE: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// Does `work`, whose time grows with `size`, the length of a text in bytes.
pub(super) async fn work<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if size <= SMALL {
        return Ok(work());
    }
    // The work keeps the permit: a client that disconnects does not free it for more work.
    let permit = LARGE.acquire().await;
    let done = spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"),
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn a_large_text_leaves_the_async_worker_and_a_small_one_stays() {
        let worker = thread::current().id();
        let thread_for = async |size| work(size, || thread::current().id()).await.expect("work");
        assert_eq!(thread_for(SMALL).await, worker);
        assert_ne!(thread_for(SMALL + 1).await, worker);
    }

    #[tokio::test]
    async fn as_many_large_texts_as_may_are_worked_on_at_once() {
        let held = LARGE.acquire_many(AT_ONCE).await.expect("open");
        let waiting = tokio::spawn(work(SMALL + 1, || ()));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        waiting.await.expect("no panic").expect("work");
    }
}
