//! Version 1 of the API: paths and bodies of design section 8.

pub mod admin;
pub mod export;
pub mod fleet;
pub mod fleet_body;
pub mod job_body;
pub mod job_event;
pub mod jobs;
pub mod operations;
pub mod profile;
mod profile_body;
pub mod registry;
pub mod retention;
pub mod segments;
pub mod sql;
