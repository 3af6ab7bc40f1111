//! Sealing when something is in its way.

use super::*;

#[test]
fn sealing_waits_for_room_in_a_full_commit_queue() {
    let bench = Bench::new();
    bench.archived(1, 3);
    let committer = &bench.archive().committer;
    let (go, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = std::sync::mpsc::channel();
    let blocker = committer.submit(move |_| {
        begun.send(()).unwrap();
        held.recv().map_err(|_| Error::internal("nobody let go"))
    });
    begins.recv().unwrap();
    let waiting: Vec<_> = (0..crate::limits::COMMIT_QUEUE)
        .map(|_| committer.submit(|txn| txn.next("job")))
        .collect();
    assert!(committer.submit(|_| Ok(())).wait().is_err(), "it is full");
    let sealed = std::thread::scope(|scope| {
        let sealing = scope.spawn(|| bench.archive().seal_all());
        go.send(()).unwrap();
        sealing.join().unwrap()
    });
    assert_eq!(sealed.unwrap().len(), 1);
    blocker.wait().unwrap();
    assert!(waiting.into_iter().all(|reply| reply.wait().is_ok()));
}
