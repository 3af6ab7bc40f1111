//! What a reader may see. Every read and list takes a [`Scope`].

use super::id::ProjectKey;
use std::collections::BTreeSet;

/// The projects a reader may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Allowed);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    All,
    Projects(BTreeSet<ProjectKey>),
}

impl Scope {
    /// Everything: the one reader there is until identities exist.
    #[must_use]
    pub fn local_operator() -> Self {
        Self(Allowed::All)
    }

    /// These projects and no other.
    #[must_use]
    pub fn projects(projects: impl IntoIterator<Item = ProjectKey>) -> Self {
        Self(Allowed::Projects(projects.into_iter().collect()))
    }

    /// Whether everything may be seen.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        matches!(self.0, Allowed::All)
    }

    /// Whether jobs of `project` may be seen.
    #[must_use]
    pub fn allows(&self, project: ProjectKey) -> bool {
        match &self.0 {
            Allowed::All => true,
            Allowed::Projects(projects) => projects.contains(&project),
        }
    }
}
