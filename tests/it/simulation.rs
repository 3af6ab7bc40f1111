//! Simulated lives of the whole service; the crash lab runs thousands of them.
//!
//! Steps of the commit protocol do not fail here: fail points are one per process, and other tests run
//! beside these.

use tachograph::testkit::simulation;

const SEEDS: u64 = 12;

#[tokio::test]
async fn every_life_archives_its_jobs_and_is_the_same_twice() {
    let root = tempfile::tempdir().unwrap();
    let (mut openings, mut jobs) = (0, 0);
    for seed in 0..SEEDS {
        let place = root.path().join(seed.to_string());
        let (first, second) = simulation::twice(seed, &place, false).await.unwrap();
        assert!(
            first.problems.is_empty(),
            "seed {seed}: {:?}",
            first.problems
        );
        assert_eq!(first, second, "seed {seed}");
        openings += first.openings;
        jobs += first.jobs;
    }
    assert!(
        openings > 2 * SEEDS && jobs >= 3 * SEEDS,
        "{openings} {jobs}"
    );
}
