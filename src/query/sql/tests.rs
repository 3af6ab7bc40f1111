//! Queries over an archive with sealed, staged and amended jobs.
