//! Sealing when something is in its way.

use super::*;
use crate::index::keys::segments::Segments;

#[test]
fn sealing_waits_for_room_in_a_full_commit_queue() {
    let bench = Bench::new();
    bench.archived(1, 3);
    let committer = &bench.archive().committer;
    let (go, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (begun, begins) = std::sync::mpsc::sync_channel(1);
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

fn due_ever(bench: &Bench) -> usize {
    let policy = SealPolicy::default();
    let dates = bench.archive().staged_dates();
    dates.due(&policy, TimestampMs(i64::MAX)).len()
}

#[test]
fn what_cannot_be_sealed_does_not_make_a_date_due() {
    let mut bench = Bench::new();
    for number in 1..=5 {
        bench.archived(number, 3);
    }
    // 1 is to be fetched again, the record of 2 is unreadable, the profile of 3 is damaged.
    bench.corrected(1);
    let (second, third) = (bench.read(2).0.keys.job, bench.read(3).0.keys);
    bench.damage(second);
    let archive = bench.archive();
    let date = archive.staged_dates().dates()[0];
    let mut changes = crate::index::Changes::default();
    let place = keys::staged::StagedKey {
        date,
        project: third.project,
        job: third.job,
        part: 0,
    };
    changes.damage::<keys::staged::Staged>(&place, b"12345678damaged");
    archive.index.write(&changes).unwrap();
    let sealed = archive.seal_all().unwrap();
    assert_eq!(sealed.iter().map(|segment| segment.jobs).sum::<u64>(), 2);
    assert_eq!(due_ever(&bench), 0, "nothing is left that could be sealed");
    assert!(bench.archive().seal_due().unwrap().is_empty());
    bench.reopen();
    // The damage of a profile shows when it is read: one look is in vain.
    assert!(bench.archive().seal_all().unwrap().is_empty());
    assert_eq!(due_ever(&bench), 0);
    // What was fetched again is sealed.
    bench.staged(1, 0);
    assert_eq!(due_ever(&bench), 1, "kept samples are counted again");
    assert_eq!(bench.archive().seal_all().unwrap().len(), 1);
    assert_eq!(bench.read(1).0.state, State::Archived);
}

#[test]
fn what_is_staged_during_a_count_is_not_lost() {
    let bench = Bench::new();
    bench.archived(1, 3);
    let archive = bench.archive();
    let date = archive.staged_dates().dates()[0];
    archive.staged_dates().begin(date);
    bench.archived(2, 3);
    // The count of a seal that did not see the second job.
    archive.staged_dates().finish(date, Default::default());
    assert_eq!(due_ever(&bench), 1);
    archive.seal_all().unwrap();
    assert_eq!(due_ever(&bench), 0);
}

#[test]
fn a_job_is_counted_when_it_is_durable_and_not_before() {
    let bench = Bench::new();
    bench.accept(1, finished(1, 3)).unwrap();
    let (go, held) = std::sync::mpsc::sync_channel::<()>(1);
    let blocker = bench
        .archive()
        .committer
        .submit(move |_| held.recv().map_err(|_| Error::internal("nobody let go")));
    let staging = Staging {
        record: bench.record(1),
        placement: Placement::default(),
        findings: findings(1, 3),
        profile: profile(1, 3),
        look_up_at: None,
    };
    let staged = bench.archive().stage(staging);
    assert_eq!(due_ever(&bench), 0, "a count now would forget it again");
    go.send(()).unwrap();
    blocker.wait().unwrap();
    assert_eq!(staged.wait().unwrap(), Staged::Archived);
    assert_eq!(due_ever(&bench), 1);
}

#[test]
fn a_date_that_cannot_be_sealed_does_not_keep_the_others_from_it() {
    let bench = Bench::new();
    bench.archived(1, 3);
    bench.archived(100_000, 3);
    let archive = bench.archive();
    let dates = archive.staged_dates().dates();
    assert_eq!(dates.len(), 2);
    // A file where the first date's folder would be.
    let root = bench.root.path().join("tables/samples");
    std::fs::write(root.join(format!("date={}", dates[0])), b"in the way").unwrap();
    assert!(archive.seal_all().is_err());
    let sealed = bench.read(100_000).0.keys.job;
    assert!(
        archive
            .index
            .get::<keys::jobs::Jobs>(&sealed)
            .unwrap()
            .is_some_and(|entry| matches!(entry, keys::jobs::JobEntry::Sealed(_)))
    );
    assert_eq!(archive.staged_dates().dates(), dates[..1]);
}

#[test]
fn the_same_jobs_give_the_same_segment_bytes() {
    let bytes = |bench: &Bench| {
        bench.archive().seal_all().unwrap();
        let mut files: Vec<Vec<u8>> = Vec::new();
        for table in ["samples", "jobs"] {
            for date in std::fs::read_dir(bench.root.path().join("tables").join(table)).unwrap() {
                for file in std::fs::read_dir(date.unwrap().path()).unwrap() {
                    files.push(std::fs::read(file.unwrap().path()).unwrap());
                }
            }
        }
        files
    };
    let (one, two) = (Bench::new(), Bench::new());
    for number in 0..30 {
        one.archived(number, 20);
        two.archived(number, 20);
    }
    assert_eq!(bytes(&one), bytes(&two));
}

#[test]
fn sealing_does_not_chase_what_is_staged_meanwhile() {
    let bench = Bench::new();
    (0..20).for_each(|number| bench.archived(number, 5));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let numbers = (20..).take_while(|_| !done.load(Ordering::SeqCst));
            numbers.for_each(|number| bench.archived(number, 5));
        });
        let sealed = bench.archive().seal_all();
        done.store(true, Ordering::SeqCst);
        let sealed = sealed.unwrap();
        assert_eq!(sealed.len(), 1);
        assert!(sealed[0].jobs >= 20, "{sealed:?}");
    });
}

#[test]
fn jobs_that_end_outside_of_what_the_index_says_are_found() {
    let bench = Bench::new();
    bench.archived(1, 4);
    bench.archive().seal_all().unwrap();
    let archive = bench.archive();
    let mut entries = Vec::new();
    archive
        .index
        .snapshot()
        .scan::<Segments>(&[], None, |id, entry| {
            entries.push((id, entry));
            Ok(true)
        })
        .unwrap();
    let (id, mut entry) = entries.pop().unwrap();
    let broken = || archive.verify(false, |_, _| {}).unwrap().problems;
    assert_eq!(broken(), []);
    // A question would leave the segment out.
    let earlier = |time: TimestampMs| TimestampMs(time.0 - 86_400_000);
    entry.info.ends = entry
        .info
        .ends
        .map(|(first, last)| (earlier(first), earlier(last)));
    let put = archive
        .committer
        .run(move |txn| txn.put::<Segments>(&id, &entry));
    put.unwrap();
    let found = broken();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("do not end when"), "{found:?}");
}
