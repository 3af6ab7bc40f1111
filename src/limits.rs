//! Every bound of the service, each with its arithmetic.

use std::time::Duration;

/// Body of an API request. The largest useful body is a job with 2,000 sections of about 150 bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// A public id (source, job id, runner id, region).
pub const ID_BYTES_MAX: usize = 200;
/// A text field of a job (project path, name, ref, ...): GitLab allows 255 characters, in UTF-8.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// Sections of one job. GitLab's log limit of 4 MiB holds fewer real ones.
pub const SECTIONS_MAX: usize = 2_000;
/// Tags of one runner.
pub const TAGS_MAX: usize = 100;
/// A job longer than this is a unit mistake: GitLab's own upper limit for a timeout is one month.
pub const JOB_DURATION_MS_MAX: i64 = 31 * 24 * 3_600_000;
/// Body of a hook. GitLab sends at most 25 MB, but what grows is lists that a job event does not
/// have; its largest field is the commit message, which git itself keeps below 1 MiB in practice.
pub const HOOK_BODY_BYTES_MAX: usize = 2 << 20;
/// How far a signed hook's time may be from ours, as the Standard Webhooks scheme says.
pub const HOOK_AGE_MS_MAX: i64 = 300_000;
/// Signatures in one hook: one per signing token, and nobody replaces more than a few at once.
pub const HOOK_SIGNATURES_MAX: usize = 16;

/// One piece of a line of a job log. The runner itself cuts at 8 KiB.
pub const LOG_PIECE_BYTES_MAX: usize = 8 << 10;
/// What is held of one line of a job log: 4 times the longest thing looked for, a section marker of
/// 560 bytes (name and options of at most 255). 2 x 256 streams hold 1 MiB at most.
pub const LOG_LINE_BYTES_MAX: usize = 2_048;
/// Sections of one job log that may be open at once; people nest 3 to 5.
pub const SECTION_DEPTH_MAX: usize = 128;
/// Of [`SECTIONS_MAX`], kept free for the runner's own stages: 15 exist, some repeat.
pub const SECTIONS_OF_RUNNER: usize = 50;

/// Headers per region.
pub const REGION_HEADERS_MAX: usize = 16;

/// Connecting to a Prometheus.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence while reading an answer.
pub const READ_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// One fetch from first byte to last (an unread stream holds one of the server's 10 read slots).
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// A remote-read answer, compressed and decompressed: a day at 1 s on 64 cores is 40 MiB.
pub const FETCH_BYTES_MAX: usize = 64 << 20;
/// A small JSON or text answer (status, errors).
pub const SMALL_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Series of one job: 256 cores x 8 modes, 500 devices with 2 series each, and the rest.
pub const SERIES_MAX: usize = 5_000;
/// Labels of one series: Kubernetes targets carry up to about 30.
pub const LABELS_MAX: usize = 128;
/// Reads in flight per Prometheus (its default gate is 10 for all clients).
pub const FETCHES_PER_REGION: usize = 2;
/// Jobs fetched and assembled at once: 8 answers of at most 64 MiB.
pub const ARCHIVE_CONCURRENCY: usize = 8;
/// Due jobs taken from the queue at once. Most of them wait for a place at their region, at a few KiB
/// each; one region that is slow must not keep the others' jobs in the queue.
pub const PIPELINE_JOBS: usize = 256;
/// Threads of the pipeline's own: assembling, and looking into the queue.
pub const PIPELINE_THREADS: usize = ARCHIVE_CONCURRENCY + 2;

/// Operations in one commit of the commit thread.
pub const COMMIT_OPS_MAX: usize = 512;
/// Bytes in one commit of the commit thread.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Operations waiting for the commit thread: 8 batches; beyond it callers get `Overloaded`.
pub const COMMIT_QUEUE: usize = 4_096;

/// Jobs per page of a list.
pub const LIST_LIMIT_MAX: usize = 500;
/// Index entries one list request may look at: it then answers what it has and a cursor.
pub const LIST_SCAN_MAX: usize = 5_000;
/// Other jobs on the machine that are looked at for overlap.
pub const CO_TENANT_SCAN_MAX: usize = 1_000;
/// Segments kept open with their parsed footers (about 0.2 MiB each).
pub const OPEN_SEGMENTS_MAX: usize = 256;

/// Threads for short blocking work (reads and writes of the archive).
pub const BLOCKING_THREADS: usize = 16;
/// How long a request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a fetch may go on after a stop signal: its job is in the queue, another start fetches it.
pub const STOP_FETCH_GRACE: Duration = Duration::from_secs(2);
/// How long each of the three phases of a stop may take: together less than the 10 s after which
/// `docker stop` kills. What is in flight then is as safe as after a crash.
pub const STOP_GRACE: Duration = Duration::from_secs(3);
