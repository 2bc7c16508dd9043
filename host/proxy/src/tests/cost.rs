//! What the door itself costs: allocations are held by a bound, time is printed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use super::*;

/// Counts this thread's allocations, so that tests beside this one do not matter.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written otherwise; it only counts"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ended = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUESTS: u64 = 2_000;

/// As a listener hands it over: origin form, a few headers.
fn request() -> Request<Body> {
    Request::get("/productpage?u=normal")
        .header("host", "bookinfo.example:8080")
        .header("user-agent", "test/1")
        .header("accept", "*/*")
        .body(body::empty())
        .unwrap()
}

/// Allocations and nanoseconds for each request.
async fn cost(mesh: &Mesh, source: &Source) -> (u64, u64) {
    let requests: Vec<_> = (0..REQUESTS).map(|_| request()).collect();
    let (before, begin) = (COUNT.get(), Instant::now());
    for request in requests {
        let mut response = mesh.proxy.handle(source.clone(), request).await;
        while response.body_mut().frame().await.is_some() {}
    }
    let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap();
    ((COUNT.get() - before) / REQUESTS, nanos / REQUESTS)
}

#[tokio::test]
async fn a_request_costs_few_allocations() {
    let rules = json!([
        {"match": [{"uri": {"exact": "/other"}}], "directResponse": {"status": 200}},
        {"match": [{"uri": {"prefix": "/"}}], "route": [{"destination": {"host": "echo"}}]},
    ]);
    let mesh = Mesh::new(2, rules);
    for name in ["echo-0", "echo-1"] {
        let answer = bytes::Bytes::from_static(b"hello");
        mesh.pod(name, move |_| {
            let answer = answer.clone();
            Box::pin(async { Ok(Response::new(body::full(answer))) })
        });
    }
    // The gate of these tests keeps what it hears, which allocates a few times itself.
    cost(&mesh, &outside()).await;
    let source = outside();
    let size = std::mem::size_of_val(&mesh.proxy.handle(source.clone(), request()));
    // It is copied with each request, and each connection has room for one.
    assert!(size <= 6 << 10, "the door's future has {size} bytes");
    let (allocations, nanos) = cost(&mesh, &outside()).await;
    println!("a request through the gateway's door: {allocations} allocations, {nanos} ns");
    assert!(allocations <= 45, "{allocations}");
}
