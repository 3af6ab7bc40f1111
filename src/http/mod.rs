//! The HTTP interface, version 1: thin handlers over `ingest` and `query`.
//!
//! It never sees an Arrow type, a RocksDB key or a Prometheus answer. Errors are RFC 9457 problems
//! with a stable code and a request id (`problem`); the OpenAPI document is made from the handlers.

mod extract;
mod format;
mod hooks;
mod negotiate;
mod ops;
mod problem;
mod router;
pub mod v1;

pub use format::Format;
pub use hooks::HookService;
pub use router::{Services, openapi, router};
