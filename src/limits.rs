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

/// How long a job may have waited for a runner: a year. Beyond it is a unit mistake.
pub const QUEUED_MS_MAX: i64 = 366 * 24 * 3_600_000;
/// Headers per region.
pub const REGION_HEADERS_MAX: usize = 16;

/// The configuration file: 500 rules and as many regions of about 400 bytes each are 400 KB.
pub const CONFIG_BYTES_MAX: usize = 512 << 10;
/// Problems named of one configuration file; a file with more is not a configuration.
pub const CONFIG_PROBLEMS_MAX: usize = 100;
/// Rules for runners, and regions, in one configuration: each job looks at all rules (500 patterns at
/// about 1 us), and together their patterns stay below 32 MiB.
pub const DECLARED_MAX: usize = 500;
/// A pattern for descriptions, as written.
pub const PATTERN_BYTES_MAX: usize = 256;
/// A pattern for descriptions, compiled. A plain one has 1 to 20 KiB, `[\w.-]{1,60}` over all of
/// Unicode would have 2 MiB and is refused.
pub const PATTERN_SIZE_MAX: usize = 64 << 10;
/// Groups within groups in a pattern for descriptions.
pub const PATTERN_NESTING_MAX: u32 = 32;
/// A file with a secret, or with certificates of about 2 KiB each.
pub const SECRET_FILE_BYTES_MAX: usize = 256 << 10;

/// Connecting to a Prometheus.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients with an authority of their own: one per distinct `ca_file`, and those of rotated ones.
pub const OUTBOUND_CLIENTS_MAX: usize = 64;
/// Silence while reading an answer.
pub const READ_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// One fetch from first byte to last (an unread stream holds one of the server's 10 read slots).
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// A remote-read answer, compressed and decompressed: a day at 1 s on 64 cores is 40 MiB.
pub const FETCH_BYTES_MAX: usize = 64 << 20;
/// Samples of one fetch, 16 bytes each in memory: what a full answer in one block can hold, where a
/// sample takes at least 9 bytes. Chunks may take a quarter of a byte.
pub const FETCH_SAMPLES_MAX: usize = FETCH_BYTES_MAX / 8;
/// How often the window of a fetch is halved for a server that does not answer so much at once: into at
/// most 32 parts, asked for one after the other.
pub const FETCH_SPLITS_MAX: u32 = 5;
/// No part of a window is shorter than this: at 15 s it has four samples of each series.
pub const FETCH_PART_MS_MIN: i64 = 60_000;
/// How long a region's protocol is taken for known if it is not the best one: long enough that the
/// extra request does not count, short enough that an upgrade is noticed.
pub const LADDER_KNOWN_FOR: Duration = Duration::from_secs(3_600);
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

/// A job's log: GitLab keeps at most 100 MB, a runner writes 4 MiB unless told otherwise. It is read
/// in pieces and never kept.
pub const JOB_LOG_BYTES_MAX: usize = 100 << 20;
/// Calls in flight per CI instance: at 50 ms a call that is 80 a second, 40 jobs on the log route.
pub const CI_CALLS_PER_SOURCE: usize = 4;
/// Jobs that wait for a call to one CI instance: a quarter of [`PIPELINE_JOBS`], so that a slow instance
/// leaves room for the jobs of others.
pub const CI_JOBS_WAITING: usize = PIPELINE_JOBS / 4;
/// Attempts at sections that come late: 10 s, 30 s, 90 s, 3, 10, 30 min and then every hour, about a
/// day in all.
pub const LOOKUP_ATTEMPTS_MAX: u32 = 30;
/// A webhook's body: GitLab sends at most 25 MB.
pub const HOOK_BYTES_MAX: usize = 25 << 20;
/// Webhook bodies above [`BODY_BYTES_MAX`] that are read at once: real job events have some KiB, so
/// that large ones may wait for each other (50 MiB in all).
pub const LARGE_HOOKS_AT_ONCE: usize = 2;

/// Operations in one commit of the commit thread.
pub const COMMIT_OPS_MAX: usize = 512;
/// Bytes in one commit of the commit thread.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Operations waiting for the commit thread: 8 batches; beyond it callers get `Overloaded`.
pub const COMMIT_QUEUE: usize = 4_096;
/// Jobs woken by a registration in one commit: half of what a commit takes, so that events go on.
pub const WAKE_CHUNK: usize = 256;
/// Jobs of an erasure that are removed or changed in one commit: half of what a commit takes, so that
/// events go on.
pub const ERASE_CHUNK: usize = 256;
/// Pending jobs with an unreadable record that are named in the log: 8 KB of keys. Beyond it the disk
/// is what needs a look, not the single job.
pub const UNREADABLE_LOGGED_MAX: usize = 1_000;

/// Segments that one rewrite reads: of each a decoded page of every column is held, 1.5 MiB of the
/// samples and 1 MiB of the jobs, 40 MiB in all.
pub const REWRITE_INPUTS_MAX: usize = 16;

/// Jobs of one import, which make one segment and one batch of the index: at about 600 bytes of index
/// each the batch has 40 MB, and the rows with their statistics take some 450 MB while it is made.
pub const IMPORT_JOBS_MAX: usize = 65_536;

/// Problems that a verification describes one by one; the rest is counted.
pub const PROBLEMS_LISTED_MAX: usize = 1_000;

/// Segments of one list of live files: about 400 bytes each are 4 MB; 27 years of one a day, a week of the
/// largest fleet before compaction.
pub const LIVE_SEGMENTS_MAX: usize = 10_000;

/// Jobs per page of a list.
pub const LIST_LIMIT_MAX: usize = 500;
/// Entries of a list that are looked at together once a filter showed that it matches little: their
/// rows lie close together in their segments, and a row read alone costs most of what its page does.
pub const LIST_BATCH: usize = 256;
/// Index entries one list request may look at: it then answers what it has and a cursor.
pub const LIST_SCAN_MAX: usize = 5_000;
/// How long a job without an end is taken to run, for overlaps: the longest timeout that runners have
/// by default is an hour, and what was not reported for a day is not running but forgotten.
pub const OPEN_END_MS_MAX: i64 = 24 * 3_600_000;
/// Other jobs on the machine that are looked at for overlap.
pub const CO_TENANT_SCAN_MAX: usize = 1_000;
/// Rows per metric that a down-sampled profile may be asked for: a smallest and a largest value for
/// each pixel of a screen 5,000 wide. With all 26 metrics and no holes that is at most 260,000 rows.
pub const POINTS_MAX: usize = 10_000;
/// Characters of a job's source, and of its id, in the name of a downloaded file: a name has at most
/// 255 bytes in usual file systems, and readers put more behind it.
pub const FILE_NAME_PART_MAX: usize = 80;
/// Groups in an answer about the fleet: more lines than a chart or a list can show. 100 lines of 120
/// buckets are 12,000 rows.
pub const FLEET_GROUPS_MAX: usize = 100;
/// Jobs behind one question of a trend; a longer one is asked piece by piece, so that the values that an
/// exact quantile keeps do not grow with the years. 8 bytes each, some times over: about 20 MiB.
pub const TREND_PIECE_JOBS: u64 = 500_000;
/// Segments kept open with their parsed footers: three years of dates, with one or two descriptors each.
pub const OPEN_SEGMENTS_MAX: usize = 1_200;
/// Memory of what they keep of the leaves that were asked for: half a KiB each, 5 KiB for a segment that is
/// only scanned.
pub const OPEN_SEGMENTS_BYTES_MAX: usize = 32 << 20;
/// Memory of whole footers with page indexes and digests: 120 KiB for a jobs file, 400 if its rows are read one
/// by one. The segments of two months fill it, so that questions over years need no more.
pub const FOOTERS_BYTES_MAX: usize = 8 << 20;

/// What a scan holds of jobs that are not sealed: records of about 3 KB and profiles of about 1 KB of
/// 16,384 jobs, the most that one date has staged.
pub const SCAN_OVERLAY_BYTES_MAX: usize = 64 << 20;
/// Staged jobs that a scan decodes at once: 30 rows of 32 columns each are some 4 MiB.
pub const SCAN_STAGED_JOBS: usize = 512;
/// Rows of staged jobs that are kept between scans, about 4 KB each.
pub const SCAN_ROWS_KEPT: usize = 16_384;
/// Segments of which one scan holds facts of all jobs: those that its threads are at, and one each
/// that they come from.
pub const SCAN_FACTS_MAX: usize = 4;

/// Text of a query.
pub const SQL_BYTES_MAX: usize = 64 << 10;
/// Parentheses, expressions and queries within each other.
pub const SQL_NESTING_MAX: usize = 50;
/// Stack of a thread that plans and runs queries: a query of [`SQL_OPERATORS_MAX`] levels took more than
/// the usual 2 MiB in a build without optimisation. Only what is used takes memory.
pub const COMPUTE_STACK_BYTES: usize = 32 << 20;
/// Operators in a query: conditions on 100 columns take 200. Each may be a level of the tree, which
/// planning walks with a few KiB of stack a level.
pub const SQL_OPERATORS_MAX: usize = 400;
/// Tables in a query, each time it names one.
pub const SQL_TABLES_MAX: usize = 32;
/// Queries that run at once, each with [`SQL_MEMORY_BYTES`] at most: 1 GiB if all four take it.
pub const SQL_AT_ONCE: usize = 4;
/// How long a query waits for others to end.
pub const SQL_WAIT_MAX: Duration = Duration::from_secs(2);
/// A query from start to end: a little less than [`REQUEST_TIMEOUT`], so that what it took too long for
/// is said in its own words.
pub const SQL_TIME_MAX: Duration = Duration::from_secs(27);
/// One date of an export, written as fast as its reader takes it.
pub const EXPORT_DATE_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Rows of an answer: what a person or a page looks at. Exports have no such bound.
pub const SQL_ROWS_MAX: u64 = 100_000;
/// Bytes of an answer in memory.
pub const SQL_ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Memory of one query.
pub const SQL_MEMORY_BYTES: usize = 256 << 20;
/// What one query may put on disk when its memory is full.
pub const SQL_SPILL_BYTES_MAX: u64 = 2 << 30;
/// Queries whose progress can be asked for, running ones and those that ended last.
pub const SQL_QUERIES_KNOWN: usize = 64;
/// Rows that go through a plan together: a page of a samples file, eight of a jobs file.
pub const SQL_BATCH_ROWS: usize = 8_192;
/// Text that one call of a function may put together for a batch.
pub const SQL_TEXT_BYTES_MAX: usize = 64 << 20;
/// Letters of a library's message that are shown.
pub const SQL_MESSAGE_CHARS_MAX: usize = 400;

/// Threads for short blocking work (reads and writes of the archive).
pub const BLOCKING_THREADS: usize = 16;
/// How long a request to compact waits for the end, within [`REQUEST_TIMEOUT`].
pub const COMPACT_WAIT: Duration = Duration::from_secs(20);
/// How long a request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a fetch may go on after a stop signal: its job is in the queue, another start fetches it.
pub const STOP_FETCH_GRACE: Duration = Duration::from_secs(2);
/// How long each of the three phases of a stop may take: together less than the 10 s after which
/// `docker stop` kills. What is in flight then is as safe as after a crash.
pub const STOP_GRACE: Duration = Duration::from_secs(3);
