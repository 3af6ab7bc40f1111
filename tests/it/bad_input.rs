//! Input that no well-behaved client, scheduler or Prometheus sends.
//!
//! Every case asserts what is answered (status, code, a message that says what to do) and what is
//! left behind: nothing half-written, nothing lost.

mod events;
mod registrations;
mod requests;
mod sections;
mod silence;
mod upstream;
