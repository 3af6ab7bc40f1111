//! From a job event to an archived job: the intake, the pipeline, the assembler.
//!
//! The pipeline works off the durable queue of the archive, so a restart is the same as normal
//! running: nothing waits in memory only.

pub mod assemble;
mod intake;
mod pipeline;
mod plan;
mod regions;

pub use intake::Intake;
pub use pipeline::{Pipeline, PipelineParts};
