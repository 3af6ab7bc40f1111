//! Logs, and the service's own metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing_subscriber::EnvFilter;

/// Sets up logging: text on a terminal, JSON elsewhere; `filter` as `RUST_LOG` spells it.
pub fn init_logs(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Only the first caller in a process sets it up; tests may call it again.
    let _set_before = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}

/// Label of a counter by outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// The outcome's word.
    pub outcome: String,
}

/// What the archive does in the background.
#[derive(Debug, Clone, Default)]
pub struct Maintenance {
    /// Segments that were replaced by compacted ones.
    pub segments_compacted: Counter,
    /// Replaced segments whose files were removed.
    pub segments_removed: Counter,
    /// Bytes of segments that compaction read.
    pub bytes_read: Counter,
    /// Bytes of segments that compaction wrote.
    pub bytes_written: Counter,
    /// Samples that compaction copied.
    pub samples: Counter,
    /// Amendments that went into their rows.
    pub amendments_folded: Counter,
    /// Jobs whose rows retention removed.
    pub jobs_expired: Counter,
    /// Rows of samples that retention removed.
    pub sample_rows_expired: Counter,
    /// Erasures of which no byte is left.
    pub erasures_done: Counter,
    /// Erasures that are not done.
    pub erasures_open: Gauge,
    /// Seconds that compaction took, pauses included.
    pub seconds: Counter<f64, AtomicU64>,
}

impl Maintenance {
    fn register(&self, registry: &mut Registry) {
        let counters = [
            (
                "segments_compacted",
                "Segments replaced by compacted ones",
                &self.segments_compacted,
            ),
            (
                "segments_removed",
                "Replaced segments whose files were removed",
                &self.segments_removed,
            ),
            (
                "compaction_read_bytes",
                "Bytes of segments that compaction read",
                &self.bytes_read,
            ),
            (
                "compaction_written_bytes",
                "Bytes of segments that compaction wrote",
                &self.bytes_written,
            ),
            (
                "compaction_samples",
                "Samples that compaction copied",
                &self.samples,
            ),
            (
                "amendments_folded",
                "Amendments that went into their rows",
                &self.amendments_folded,
            ),
            (
                "jobs_expired",
                "Jobs whose rows retention removed",
                &self.jobs_expired,
            ),
            (
                "sample_rows_expired",
                "Rows of samples that retention removed",
                &self.sample_rows_expired,
            ),
            (
                "erasures_done",
                "Erasures of which no byte is left",
                &self.erasures_done,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "erasures_open",
            "Erasures that are not done",
            self.erasures_open.clone(),
        );
        registry.register(
            "compaction_seconds",
            "Time that compaction took, pauses included",
            self.seconds.clone(),
        );
    }
}

/// The service's own metrics, all named `tachograph_*`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Job events accepted, by whether they said anything new.
    pub events: Family<Outcome, Counter>,
    /// Attempts to archive a job, by outcome.
    pub attempts: Family<Outcome, Counter>,
    /// Seconds a region took to answer.
    pub fetch_seconds: Histogram,
    /// Jobs waiting to be archived.
    pub pending_jobs: Gauge,
    /// Segments sealed.
    pub segments_sealed: Counter,
    /// 1 unless the configuration was wrong when it was last read again.
    pub config_last_reload_successful: Gauge,
    /// 1 if the configuration was changed in a way that needs another start.
    pub config_restart_needed: Gauge,
    /// What the archive does in the background.
    pub maintenance: Maintenance,
    /// Violations of the archive's invariants; anything but 0 is a bug or a bad disk.
    pub invariant_violations: Gauge,
    /// Of the disk and its state.
    pub storage: StorageMetrics,
}

/// What is measured of the disk that holds the archive.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the help texts say it")]
pub struct StorageMetrics {
    pub free_bytes: Gauge,
    pub reserve_bytes: Gauge,
    pub scrubbed_bytes: Counter,
    pub scrub_problems: Counter,
    pub scrub_last_pass: Gauge,
    pub quarantined_segments: Gauge,
}

impl StorageMetrics {
    fn register(&self, registry: &mut Registry) {
        let mut gauge =
            |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge(
            "disk_free_bytes",
            "Free bytes on the disk of the data directory",
            &self.free_bytes,
        );
        gauge(
            "disk_reserve_bytes",
            "Free bytes below which no new work is taken",
            &self.reserve_bytes,
        );
        gauge(
            "scrub_last_pass_timestamp_seconds",
            "When the whole archive was last compared with its digests; 0 before the first time",
            &self.scrub_last_pass,
        );
        gauge(
            "quarantined_segments",
            "Segments that are damaged or missing",
            &self.quarantined_segments,
        );
        registry.register(
            "scrubbed_bytes",
            "Bytes compared with their digests",
            self.scrubbed_bytes.clone(),
        );
        registry.register(
            "scrub_problems",
            "Segments found damaged, missing or unreadable",
            self.scrub_problems.clone(),
        );
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("tachograph"),
            events: Family::default(),
            attempts: Family::default(),
            fetch_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 14)),
            pending_jobs: Gauge::default(),
            segments_sealed: Counter::default(),
            config_last_reload_successful: Gauge::default(),
            config_restart_needed: Gauge::default(),
            maintenance: Maintenance::default(),
            invariant_violations: Gauge::default(),
            storage: StorageMetrics::default(),
        };
        metrics.config_last_reload_successful.set(1);
        let registry = &mut metrics.registry;
        registry.register("job_events", "Job events accepted", metrics.events.clone());
        registry.register(
            "archive_attempts",
            "Attempts to archive a job",
            metrics.attempts.clone(),
        );
        registry.register(
            "fetch_duration_seconds",
            "Time a region took to answer",
            metrics.fetch_seconds.clone(),
        );
        registry.register(
            "pending_jobs",
            "Jobs waiting to be archived",
            metrics.pending_jobs.clone(),
        );
        registry.register(
            "segments_sealed",
            "Segments sealed",
            metrics.segments_sealed.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 unless the configuration was wrong when it was last read again",
            metrics.config_last_reload_successful.clone(),
        );
        registry.register(
            "config_restart_needed",
            "1 if the configuration was changed in a way that needs another start",
            metrics.config_restart_needed.clone(),
        );
        registry.register(
            "invariant_violations",
            "Violations of the archive's invariants",
            metrics.invariant_violations.clone(),
        );
        metrics.maintenance.register(registry);
        metrics.storage.register(registry);
        Arc::new(metrics)
    }

    /// The metrics as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let violations = i64::try_from(crate::invariant::violations()).unwrap_or(i64::MAX);
        self.invariant_violations.set(violations);
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => {
                tracing::error!(error = error.to_string(), "own metrics cannot be encoded");
                String::from("# EOF\n")
            }
        }
    }

    /// Counts one attempt to archive a job.
    pub fn attempt(&self, outcome: &str) {
        self.attempts
            .get_or_create(&Outcome {
                outcome: outcome.to_owned(),
            })
            .inc();
    }

    /// Counts one job event.
    pub fn event(&self, outcome: &str) {
        self.events
            .get_or_create(&Outcome {
                outcome: outcome.to_owned(),
            })
            .inc();
    }
}
