//! Names of a made-up company's projects, jobs and branches.

/// Groups: the first ones have the most projects.
pub(super) const GROUPS: [&str; 14] = [
    "acme/platform",
    "acme/shop",
    "acme/mobile",
    "data/pipelines",
    "data/ml",
    "infra",
    "acme/payments",
    "acme/search",
    "research",
    "tools",
    "acme/embedded",
    "docs",
    "security",
    "partners/atlas",
];

/// Words that make a project's name, in pairs.
pub(super) const FIRST: [&str; 24] = [
    "api", "billing", "cart", "catalog", "checkout", "core", "edge", "events", "feature", "fleet",
    "gateway", "identity", "image", "ingest", "ledger", "mail", "media", "order", "price",
    "report", "session", "stream", "user", "web",
];
/// See [`FIRST`].
pub(super) const SECOND: [&str; 16] = [
    "service", "app", "worker", "lib", "proxy", "ui", "sdk", "jobs", "store", "agent", "bridge",
    "cli", "daemon", "index", "model", "tests",
];

/// What a job is called, its stage, and the shape of its work.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) stage: &'static str,
    /// Order of the stage.
    pub(super) order: u8,
    /// Its length beside others'.
    pub(super) length: f64,
    /// How much of it is CPU, network, disk, beside others.
    pub(super) cpu: f64,
    pub(super) network: f64,
    pub(super) disk: f64,
    /// Its memory beside others'.
    pub(super) memory: f64,
    /// Share of pipelines that run it.
    pub(super) share: f64,
}

const fn kind(
    name: &'static str,
    (stage, order): (&'static str, u8),
    [length, cpu, network, disk, memory, share]: [f64; 6],
) -> Kind {
    Kind {
        name,
        stage,
        order,
        length,
        cpu,
        network,
        disk,
        memory,
        share,
    }
}

const PREPARE: (&str, u8) = ("prepare", 0);
const BUILD: (&str, u8) = ("build", 1);
const TEST: (&str, u8) = ("test", 2);
const DEPLOY: (&str, u8) = ("deploy", 3);

/// Every project has some of these.
pub(super) const KINDS: [Kind; 22] = [
    kind("build", BUILD, [1.4, 1.1, 1.2, 1.6, 1.2, 0.97]),
    kind("unit", TEST, [0.9, 1.0, 0.4, 0.6, 0.9, 0.97]),
    kind("lint", TEST, [0.35, 0.8, 0.4, 0.3, 0.5, 0.95]),
    kind("rspec 1/4", TEST, [1.5, 0.9, 0.5, 0.9, 1.3, 0.9]),
    kind("rspec 2/4", TEST, [1.5, 0.9, 0.5, 0.9, 1.3, 0.9]),
    kind("rspec 3/4", TEST, [1.5, 0.9, 0.5, 0.9, 1.3, 0.9]),
    kind("rspec 4/4", TEST, [1.4, 0.9, 0.5, 0.9, 1.3, 0.9]),
    kind("e2e", TEST, [2.6, 0.7, 0.9, 0.6, 1.9, 0.6]),
    kind("integration", TEST, [1.9, 0.6, 1.0, 0.8, 1.5, 0.7]),
    kind("package", BUILD, [0.8, 0.6, 1.8, 2.0, 0.7, 0.5]),
    kind("docker build", BUILD, [1.2, 0.8, 2.6, 2.4, 0.8, 0.6]),
    kind("docs", TEST, [0.5, 0.7, 0.6, 0.5, 0.6, 0.4]),
    kind("sast", TEST, [0.7, 1.2, 0.5, 0.5, 1.1, 0.6]),
    kind("dependency scan", TEST, [0.3, 0.5, 1.4, 0.4, 0.5, 0.6]),
    kind("deploy staging", DEPLOY, [0.6, 0.2, 1.0, 0.2, 0.3, 0.3]),
    kind("deploy production", DEPLOY, [0.7, 0.2, 1.0, 0.2, 0.3, 0.08]),
    kind("fetch deps", PREPARE, [0.4, 0.3, 3.0, 1.5, 0.4, 0.7]),
    kind("train", TEST, [4.5, 1.3, 0.8, 1.0, 4.0, 0.2]),
    kind("fuzz", TEST, [3.0, 1.3, 0.2, 0.3, 1.2, 0.2]),
    kind("bench", TEST, [1.6, 1.2, 0.2, 0.4, 1.0, 0.3]),
    kind("cross build arm64", BUILD, [1.8, 1.3, 1.0, 1.4, 1.3, 0.5]),
    kind("cache warm", PREPARE, [0.5, 0.2, 2.5, 2.2, 0.4, 0.3]),
];

/// What feature branches are about.
pub(super) const TOPICS: [&str; 12] = [
    "fix-login",
    "retry",
    "cache",
    "faster-start",
    "upgrade",
    "timeouts",
    "search",
    "cleanup",
    "new-index",
    "audit",
    "dark-mode",
    "limits",
];
