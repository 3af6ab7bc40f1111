//! From a job event to an archived job: the intake, the pipeline, the assembler; and what keeps the
//! archive in order afterwards.
//!
//! The pipeline works off the durable queue of the archive, so a restart is the same as normal
//! running: nothing waits in memory only.

mod ask;
pub mod assemble;
mod housekeeping;
mod intake;
mod lookups;
mod pipeline;
mod plan;
mod regions;

pub use housekeeping::Housekeeping;
pub use intake::Intake;
pub use lookups::Lookups;
pub use pipeline::{Pipeline, PipelineParts};
