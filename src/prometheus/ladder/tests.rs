//! The climb alone, with servers that are one line each.

use super::*;
use crate::testkit::clock::ManualClock;
use crate::time::TimestampMs;
use Step::{Export, RemoteRead, Selector};

fn region(kind: &str) -> Region {
    serde_json::from_value(serde_json::json!({ "url": "http://h", "kind": kind })).unwrap()
}

fn name() -> RegionName {
    RegionName::parse("eu-1").unwrap()
}

fn denied(class: Class, kind: SourceErrorKind, message: &str) -> Result<Vec<RawSeries>, Denial> {
    let error = SourceError {
        kind,
        message: message.to_owned(),
    };
    Err(Denial { class, error })
}

/// A server that speaks some steps, and everything it was asked.
struct Server {
    speaks: Mutex<Vec<Step>>,
    otherwise: Mutex<Option<SourceErrorKind>>,
    asked: Mutex<Vec<Step>>,
}

impl Server {
    fn speaking(steps: &[Step]) -> Self {
        Self {
            speaks: Mutex::new(steps.to_vec()),
            otherwise: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    async fn ask(&self, step: Step) -> Result<Vec<RawSeries>, Denial> {
        self.asked.lock().unwrap().push(step);
        // Others get their turn while this one waits for the network.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        if !self.speaks.lock().unwrap().contains(&step) {
            let message = format!("no {step:?}");
            return denied(Class::NextStep, SourceErrorKind::Refused, &message);
        }
        match *self.otherwise.lock().unwrap() {
            None => Ok(Vec::new()),
            Some(kind) => denied(Class::GiveUp, kind, "otherwise"),
        }
    }

    fn asked(&self) -> Vec<Step> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

struct World {
    clock: Arc<ManualClock>,
    ladder: Ladder,
}

fn world() -> World {
    let clock = ManualClock::at(TimestampMs(0));
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    World {
        clock,
        ladder: Ladder::new(shared),
    }
}

async fn read(ladder: &Ladder, kind: &str, server: &Server) -> Result<Vec<RawSeries>, SourceError> {
    let slot = ladder.slot(&name(), &region(kind));
    ladder.climb(&slot, |step| server.ask(step)).await
}

#[tokio::test]
async fn each_kind_begins_where_it_says_and_ends_at_the_selector() {
    for (kind, steps) in [
        ("prometheus", &[RemoteRead, Selector][..]),
        ("victoriametrics", &[Export, Selector]),
        ("auto", &[RemoteRead, Export, Selector]),
    ] {
        let World { ladder, .. } = world();
        let server = Server::speaking(&[Selector]);
        read(&ladder, kind, &server).await.unwrap();
        assert_eq!(server.asked(), steps, "{kind}");
        // What works is asked at once from then on.
        read(&ladder, kind, &server).await.unwrap();
        assert_eq!(server.asked(), [Selector], "{kind}");
    }
}

#[tokio::test]
async fn with_no_step_at_all_the_first_refusal_is_told_and_nothing_is_learnt() {
    let World { ladder, .. } = world();
    let server = Server::speaking(&[]);
    for _ in 0..2 {
        let error = read(&ladder, "auto", &server).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (SourceErrorKind::Refused, "no RemoteRead")
        );
        assert_eq!(server.asked(), [RemoteRead, Export, Selector]);
    }
}

#[tokio::test]
async fn many_reads_at_once_probe_once() {
    let World { ladder, .. } = world();
    let server = Server::speaking(&[Export]);
    let reads = || futures::future::join_all((0..8).map(|_| read(&ladder, "auto", &server)));
    assert!(reads().await.iter().all(Result::is_ok));
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|step| **step == RemoteRead).count(), 1);
    assert_eq!(asked.len(), 9);
    // The server becomes another one: whoever was on the way sees a refusal, one climbs again.
    *server.speaks.lock().unwrap() = vec![Selector];
    assert!(reads().await.iter().all(Result::is_ok));
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|step| **step == RemoteRead).count(), 1);
    assert_eq!(asked.iter().filter(|step| **step == Selector).count(), 8);
}

#[tokio::test]
async fn waiting_for_a_server_that_is_down_is_not_done_one_by_one() {
    let World { ladder, .. } = world();
    let server = Server::speaking(&[RemoteRead]);
    *server.otherwise.lock().unwrap() = Some(SourceErrorKind::Unreachable);
    assert!(read(&ladder, "auto", &server).await.is_err());
    // A second read does not wait for the first, which holds no turn.
    let slot = ladder.slot(&name(), &region("auto"));
    let turn = slot.turn.lock().await;
    assert!(read(&ladder, "auto", &server).await.is_err());
    assert_eq!(server.asked(), [RemoteRead, RemoteRead]);
    drop(turn);
}

#[tokio::test]
async fn what_is_known_ends_with_a_refusal_with_time_and_with_the_registration() {
    let World { clock, ladder } = world();
    let server = Server::speaking(&[Export, Selector]);
    read(&ladder, "auto", &server).await.unwrap();
    server.asked();

    for (kind, forgets) in [
        (SourceErrorKind::Unreachable, false),
        (SourceErrorKind::Refused, true),
        (SourceErrorKind::Invalid, true),
    ] {
        *server.otherwise.lock().unwrap() = Some(kind);
        assert_eq!(read(&ladder, "auto", &server).await.unwrap_err().kind, kind);
        *server.otherwise.lock().unwrap() = None;
        read(&ladder, "auto", &server).await.unwrap();
        let asked = server.asked();
        assert_eq!(asked.contains(&RemoteRead), forgets, "{kind:?}: {asked:?}");
    }

    let hour = u32::try_from(limits::LADDER_KNOWN_FOR.as_millis()).unwrap();
    clock.advance_ms(hour - 1);
    read(&ladder, "auto", &server).await.unwrap();
    assert_eq!(server.asked(), [Export]);
    clock.advance_ms(1);
    read(&ladder, "auto", &server).await.unwrap();
    read(&ladder, "auto", &server).await.unwrap();
    assert_eq!(server.asked(), [RemoteRead, Export, Export]);

    read(&ladder, "prometheus", &server).await.unwrap();
    assert_eq!(server.asked(), [RemoteRead, Selector]);
    read(&ladder, "auto", &server).await.unwrap();
    assert_eq!(server.asked(), [RemoteRead, Export]);
}

#[tokio::test]
async fn the_best_step_is_never_asked_in_vain() {
    let World { clock, ladder } = world();
    let server = Server::speaking(&[RemoteRead]);
    read(&ladder, "auto", &server).await.unwrap();
    clock.advance_ms(u32::MAX);
    // Known still: this read does not wait for the turn.
    let slot = ladder.slot(&name(), &region("auto"));
    let _turn = slot.turn.lock().await;
    read(&ladder, "auto", &server).await.unwrap();
    assert_eq!(server.asked(), [RemoteRead, RemoteRead]);
}
