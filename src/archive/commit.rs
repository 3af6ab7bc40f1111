//! The commit thread: the only writer of the index.
//!
//! It takes everything that waits (at most [`limits::COMMIT_OPS_MAX`] operations and
//! [`limits::COMMIT_BYTES_MAX`]), runs each operation against what is committed plus what the batch
//! already changes, writes one WriteBatch, syncs once, and answers each caller. So operations are
//! serial (read-modify-write needs no locks), a caller is answered only after its facts are on disk
//! (AR-11), and one sync serves all that waited for it. An operation that fails changes nothing.

use super::{closing, room};
use crate::error::{Error, ErrorKind, Result};
use crate::fault;
use crate::index::keys::meta::Meta;
use crate::index::{Changes, Family, Index};
use crate::limits;
use crate::model::id::Archiver;
use crate::segment::mark::Mark;
use futures::channel::oneshot;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

/// What an operation sees and changes.
#[derive(Debug)]
pub(super) struct Txn<'a> {
    index: &'a Index,
    batch: &'a Changes,
    own: Changes,
}

impl Txn<'_> {
    /// The value of a key, as of this operation.
    pub(super) fn get<F: Family>(&self, key: &F::Key) -> Result<Option<F::Value>> {
        if let Some(answer) = self.own.get::<F>(key)? {
            return Ok(answer);
        }
        if let Some(answer) = self.batch.get::<F>(key)? {
            return Ok(answer);
        }
        self.index.get::<F>(key)
    }

    /// Whether an entry below `prefix` holds. Only for families whose entries stay: what the batch
    /// removes is still seen.
    pub(super) fn any<F: Family>(
        &self,
        prefix: &[u8],
        holds: impl Fn(&F::Key, &F::Value) -> bool,
    ) -> Result<bool> {
        for changes in [&self.own, self.batch] {
            let entries = changes.entries::<F>()?;
            if entries.iter().any(|(key, value)| holds(key, value)) {
                return Ok(true);
            }
        }
        let mut found = false;
        self.index
            .snapshot()
            .scan::<F>(prefix, None, |key, value| {
                found = holds(&key, &value);
                Ok(!found)
            })?;
        Ok(found)
    }

    /// Sets a key.
    pub(super) fn put<F: Family>(&mut self, key: &F::Key, value: &F::Value) -> Result<()> {
        self.own.put::<F>(key, value)
    }

    /// Removes a key.
    pub(super) fn delete<F: Family>(&mut self, key: &F::Key) {
        self.own.delete::<F>(key);
    }

    /// The next `count` numbers of a sequence; they are taken when the operation commits.
    pub(super) fn reserve(&mut self, sequence: &str, count: u64) -> Result<Range<u64>> {
        let name = format!("seq.{sequence}");
        let first = self.get::<Meta>(&name)?.unwrap_or(0) + 1;
        let end = first.saturating_add(count);
        self.put::<Meta>(&name, &(end - 1))?;
        Ok(first..end)
    }

    /// The next number of a sequence; it is taken when the operation commits.
    pub(super) fn next(&mut self, sequence: &str) -> Result<u64> {
        Ok(self.reserve(sequence, 1)?.start)
    }

    /// The next surrogate key of a sequence.
    pub(super) fn next_key(&mut self, sequence: &str, archiver: Archiver) -> Result<i64> {
        archiver.key(self.next(sequence)?)
    }
}

/// Runs in the commit thread; says whether its changes count, and how to answer the caller.
type Operation = Box<dyn FnOnce(&mut Txn<'_>) -> Outcome + Send>;
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

struct Outcome {
    commit: bool,
    answer: Answer,
}

/// The answer to an operation: durable when it is there. Await it, or [`Reply::wait`].
#[derive(Debug)]
pub struct Reply<T>(oneshot::Receiver<Result<T>>);

impl<T> Reply<T> {
    /// Blocks until the operation is durable or failed.
    ///
    /// # Errors
    /// The operation's own, or `Unavailable` if it could not be made durable.
    pub fn wait(self) -> Result<T> {
        futures::executor::block_on(self)
    }

    fn failed(error: Error) -> Self {
        let (sender, receiver) = oneshot::channel();
        let _receiver_is_here = sender.send(Err(error));
        Self(receiver)
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(closing())))
    }
}

/// What keeps writes from being made.
#[derive(Debug, Default)]
struct Refusing {
    /// A write failed and what the log holds is unknown: nothing is written until it is opened again.
    poisoned: AtomicBool,
    /// The last write found no space. RocksDB throws that log away and goes on by itself once there is
    /// space (it flushes what it holds and begins another); the batch is not in it.
    full: AtomicBool,
}

/// Handle of the commit thread. Dropping it runs what was submitted and joins the thread.
pub(super) struct Committer {
    queue: Option<SyncSender<Operation>>,
    thread: Option<JoinHandle<()>>,
    refusing: Arc<Refusing>,
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer")
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl Committer {
    pub(super) fn start(index: Arc<Index>, mark: Mark) -> Result<Self> {
        let (queue, operations) = sync_channel(limits::COMMIT_QUEUE);
        let refusing = Arc::new(Refusing::default());
        let own = Arc::clone(&refusing);
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run((&index, &mark), &operations, &own))
            .map_err(|error| {
                Error::internal("the commit thread cannot start").with_source(error)
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            refusing,
        })
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.refusing.poisoned.load(Ordering::Acquire)
    }

    /// Whether the last write found no space.
    pub(super) fn is_full(&self) -> bool {
        self.refusing.full.load(Ordering::Acquire)
    }

    /// Hands an operation to the commit thread.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.submit_then(operation, |value| value)
    }

    /// As [`Committer::submit`]; `then` runs once the operation is durable, before anybody is told.
    pub(super) fn submit_then<T: Send + 'static, U: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
        then: impl FnOnce(T) -> U + Send + 'static,
    ) -> Reply<U> {
        let (operation, receiver) = boxed(operation, then);
        match self.queue.as_ref().map(|queue| queue.try_send(operation)) {
            Some(Ok(())) => Reply(receiver),
            Some(Err(TrySendError::Full(_))) => Reply::failed(Error::new(
                ErrorKind::Overloaded,
                "commit_queue_full",
                "too many writes are waiting for the disk; try again in a second",
            )),
            Some(Err(TrySendError::Disconnected(_))) | None => Reply::failed(self.gone()),
        }
    }

    /// Why nothing is taken any more.
    fn gone(&self) -> Error {
        if self.is_poisoned() {
            poisoned_error()
        } else {
            closing()
        }
    }

    /// Runs an operation and blocks until it is durable, also while the queue is full: for work of the
    /// archive's own, which has nobody to send away.
    ///
    /// # Errors
    /// As [`Reply::wait`], but never `Overloaded`.
    pub(super) fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (operation, receiver) = boxed(operation, |value| value);
        match self.queue.as_ref().map(|queue| queue.send(operation)) {
            Some(Ok(())) => Reply(receiver).wait(),
            Some(Err(_)) | None => Err(self.gone()),
        }
    }
}

fn boxed<T: Send + 'static, U: Send + 'static>(
    operation: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    then: impl FnOnce(T) -> U + Send + 'static,
) -> (Operation, oneshot::Receiver<Result<U>>) {
    let (sender, receiver) = oneshot::channel();
    let operation: Operation = Box::new(move |txn| match operation(txn) {
        // The caller may have gone: then nobody needs the answer.
        Ok(value) => Outcome {
            commit: true,
            answer: Box::new(move |committed| drop(sender.send(committed.map(|()| then(value))))),
        },
        Err(error) => Outcome {
            commit: false,
            answer: Box::new(move |_| drop(sender.send(Err(error)))),
        },
    });
    (operation, receiver)
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _panics_are_logged_by_std = thread.join();
        }
    }
}

pub(super) fn poisoned_error() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "archive_poisoned",
        "a write to the index failed, so nothing more is written; look at the log and the disk, then restart",
    )
}

/// Turns writes off when the commit thread ends, whatever ends it.
struct OffAtEnd<'a>(&'a AtomicBool);

impl Drop for OffAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        if std::thread::panicking() {
            tracing::error!("the commit thread panicked; writes are off");
        }
    }
}

fn run((index, mark): (&Index, &Mark), operations: &Receiver<Operation>, refusing: &Refusing) {
    let mut answers: Vec<Answer> = Vec::new();
    // Dropped before the answers: who learns that its write is lost finds the archive not writable.
    let _off = OffAtEnd(&refusing.poisoned);
    while let Ok(first) = operations.recv() {
        let mut batch = Changes::default();
        let mut next = Some(first);
        while let Some(operation) = next.take() {
            let mut txn = Txn {
                index,
                batch: &batch,
                own: Changes::default(),
            };
            let outcome = operation(&mut txn);
            let own = txn.own;
            if outcome.commit {
                batch.append(own);
            }
            answers.push(outcome.answer);
            if answers.len() < limits::COMMIT_OPS_MAX && batch.bytes() < limits::COMMIT_BYTES_MAX {
                next = operations.try_recv().ok();
            }
        }
        if fault::omits("omit.wait_for_commit") {
            answers.drain(..).for_each(|answer| answer(Ok(())));
        }
        let written = write(index, &batch, refusing);
        if matches!(written, Written::Durable) && !batch.is_empty() {
            mark.set(index.sequence());
        }
        for answer in answers.drain(..) {
            answer(match written {
                Written::Durable => Ok(()),
                Written::NoSpace => Err(room::full("the write found no space on the disk")),
                Written::Lost => Err(poisoned_error()),
            });
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy)]
enum Written {
    Durable,
    /// It is not in the index; the next one may be.
    NoSpace,
    /// Nobody knows whether it is.
    Lost,
}

/// Writes and syncs; after a failure never again, since what the log holds is unknown then. A disk
/// without space is no such failure: see [`Refusing`].
fn write(index: &Index, batch: &Changes, refusing: &Refusing) -> Written {
    if refusing.poisoned.load(Ordering::Acquire) {
        return Written::Lost;
    }
    if batch.is_empty() {
        return Written::Durable;
    }
    let written = fault::step("commit.write")
        .and_then(|()| index.write(batch))
        .and_then(|()| fault::step("commit.written"));
    match written {
        Ok(()) => {
            if refusing.full.swap(false, Ordering::AcqRel) {
                tracing::info!("the index is written again");
            }
            Written::Durable
        }
        Err(error) if error.code() == room::DISK_FULL => {
            if !refusing.full.swap(true, Ordering::AcqRel) {
                tracing::error!(error = error.chain(), "no space to write the index");
            }
            Written::NoSpace
        }
        Err(error) => {
            tracing::error!(
                error = error.chain(),
                "the index cannot be written; writes are off"
            );
            let poisoned = !fault::omits("omit.poison");
            refusing.poisoned.store(poisoned, Ordering::Release);
            Written::Lost
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committer() -> (tempfile::TempDir, Arc<Index>, Committer) {
        let dir = tempfile::tempdir().unwrap();
        let index = Arc::new(Index::open(&dir.path().join("index")).unwrap());
        let (mark, _) = Mark::open(dir.path()).unwrap();
        let committer = Committer::start(Arc::clone(&index), mark).unwrap();
        (dir, index, committer)
    }

    #[test]
    fn operations_see_each_other_and_failed_ones_leave_nothing() {
        let (_dir, index, committer) = committer();
        let replies: Vec<_> = (0..100)
            .map(|turn| {
                committer.submit(move |txn| {
                    let number = txn.next("job")?;
                    if turn % 10 == 9 {
                        Err(Error::internal("planned"))
                    } else {
                        Ok(number)
                    }
                })
            })
            .collect();
        let numbers: Vec<_> = replies
            .into_iter()
            .filter_map(|reply| reply.wait().ok())
            .collect();
        assert_eq!(numbers, (1..=90).collect::<Vec<u64>>());
        assert_eq!(index.get::<Meta>(&"seq.job".to_owned()).unwrap(), Some(90));
    }

    #[test]
    fn dropping_runs_what_was_submitted() {
        let (_dir, index, committer) = committer();
        let replies: Vec<_> = (0..50)
            .map(|_| committer.submit(|txn| txn.next("job")))
            .collect();
        drop(committer);
        assert!(replies.into_iter().all(|reply| reply.wait().is_ok()));
        assert_eq!(index.get::<Meta>(&"seq.job".to_owned()).unwrap(), Some(50));
    }

    #[test]
    fn a_full_queue_sends_callers_away_and_lets_the_archive_wait() {
        let (_dir, index, committer) = committer();
        let (go, held) = sync_channel::<()>(1);
        let (begun, begins) = sync_channel(1);
        let blocker = committer.submit(move |_| {
            begun.send(()).unwrap();
            held.recv().map_err(|_| Error::internal("nobody let go"))
        });
        begins.recv().unwrap();
        let waiting: Vec<_> = (0..limits::COMMIT_QUEUE)
            .map(|_| committer.submit(|txn| txn.next("job")))
            .collect();
        let refused = committer.submit(|txn| txn.next("job")).wait().unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code()),
            (ErrorKind::Overloaded, "commit_queue_full")
        );
        std::thread::scope(|scope| {
            let own = scope.spawn(|| committer.run(|txn| txn.next("segment")));
            go.send(()).unwrap();
            assert_eq!(own.join().unwrap().unwrap(), 1);
        });
        blocker.wait().unwrap();
        assert!(waiting.into_iter().all(|reply| reply.wait().is_ok()));
        let jobs = u64::try_from(limits::COMMIT_QUEUE).unwrap();
        assert_eq!(
            index.get::<Meta>(&"seq.job".to_owned()).unwrap(),
            Some(jobs)
        );
    }

    /// A family that no index has: writing to it fails.
    struct Nowhere;

    impl Family for Nowhere {
        const NAME: &'static str = "nowhere";
        type Key = String;
        type Value = u64;

        fn encode_key(key: &String, out: &mut Vec<u8>) {
            Meta::encode_key(key, out);
        }

        fn decode_key(bytes: &[u8]) -> Result<String> {
            Meta::decode_key(bytes)
        }

        fn encode_value(value: &u64) -> Result<Vec<u8>> {
            Meta::encode_value(value)
        }

        fn decode_value(bytes: &[u8]) -> Result<u64> {
            Meta::decode_value(bytes)
        }
    }

    #[test]
    fn after_a_failed_write_nothing_is_written_and_reads_go_on() {
        let (_dir, index, committer) = committer();
        committer.submit(|txn| txn.next("job")).wait().unwrap();
        let lost = committer.submit(|txn| txn.put::<Nowhere>(&"a".to_owned(), &1));
        assert_eq!(lost.wait().unwrap_err().code(), "archive_poisoned");
        assert!(committer.is_poisoned());
        let next = committer.submit(|txn| txn.next("job")).wait().unwrap_err();
        assert_eq!(
            (next.kind(), next.code()),
            (ErrorKind::Unavailable, "archive_poisoned")
        );
        assert_eq!(index.get::<Meta>(&"seq.job".to_owned()).unwrap(), Some(1));
    }

    #[test]
    fn a_panic_in_the_commit_thread_turns_writes_off() {
        let (_dir, _index, committer) = committer();
        let lost = committer.submit(|_| -> Result<()> { panic!("planned") });
        assert_eq!(lost.wait().unwrap_err().kind(), ErrorKind::Unavailable);
        // The panicking operation's own caller may learn it a moment earlier.
        while !committer.thread.as_ref().unwrap().is_finished() {
            std::thread::yield_now();
        }
        assert!(committer.is_poisoned());
        let next = committer.submit(|txn| txn.next("job")).wait().unwrap_err();
        assert_eq!(next.code(), "archive_poisoned");
        let own = committer.run(|txn| txn.next("job")).unwrap_err();
        assert_eq!(own.code(), "archive_poisoned");
    }
}
