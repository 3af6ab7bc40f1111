//! The GitLab adapter: what a GitLab instance says of its jobs.
//!
//! - [`settings`]: the configured instances and their secrets, filled by `config`.
//! - [`hook`]: job hooks. A request is authenticated on its raw bytes, and only then parsed.
//! - [`log`]: the machine and the sections out of a job's log, in one pass, without keeping the text.
//! - [`rest`]: GitLab's REST interface, the one part that does I/O.
//!
//! Everything here is a pure function of what it is given: no I/O, no clock. Whatever a GitLab or a
//! job sends is hostile until parsed.

pub mod hook;
pub mod log;
pub mod rest;
pub mod settings;
