//! By what jobs are put together.

use crate::error::{Error, Result};
use crate::query::sql::spell::literal;

/// What the jobs of one group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum GroupBy {
    /// All jobs are one group.
    None,
    Project,
    /// Job name inside of its project.
    Name,
    /// Ref inside of its project.
    Ref,
    /// Runner inside of its source.
    Runner,
    Machine,
    MachineType,
    Region,
    Status,
}

/// A group: the values of [`GroupBy::columns`] in their order; `None` where jobs do not say it.
pub(super) type Group = Vec<Option<String>>;

impl GroupBy {
    const ALL: [Self; 9] = [
        Self::None,
        Self::Project,
        Self::Name,
        Self::Ref,
        Self::Runner,
        Self::Machine,
        Self::MachineType,
        Self::Region,
        Self::Status,
    ];

    /// Its name in questions and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Project => "project",
            Self::Name => "name",
            Self::Ref => "ref",
            Self::Runner => "runner",
            Self::Machine => "machine",
            Self::MachineType => "machine_type",
            Self::Region => "region",
            Self::Status => "status",
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// `Invalid` for a name that is none.
    pub fn by_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid(
                "unknown_grouping",
                format!("by {name:?} is unknown; known are: {known}"),
            )
        })
    }

    /// Columns that tell groups apart, with the filter that selects each: the parameter's name and
    /// the column's in SQL.
    #[must_use]
    pub fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::None => &[],
            Self::Project => &[("project", "project")],
            Self::Name => &[("project", "project"), ("name", "name")],
            Self::Ref => &[("project", "project"), ("ref", "\"ref\"")],
            Self::Runner => &[("source", "source"), ("runner", "runner_id")],
            Self::Machine => &[("machine", "machine")],
            Self::MachineType => &[("machine_type", "machine_type")],
            Self::Region => &[("region", "region")],
            Self::Status => &[("status", "status")],
        }
    }

    /// The columns in SQL, each followed by a comma.
    pub(super) fn list(self) -> String {
        let columns = self.columns().iter();
        columns.map(|(_, column)| format!("{column}, ")).collect()
    }

    /// The condition that selects some groups; true for all of them if there are no columns.
    pub(super) fn among(self, groups: &[Group]) -> String {
        if self.columns().is_empty() {
            return "true".to_owned();
        }
        let one = |group: &Group| {
            let columns = self.columns().iter().zip(group);
            let parts = columns.map(|((_, column), value)| match value {
                Some(text) => format!("{column} = {}", literal(text)),
                None => format!("{column} is null"),
            });
            format!("({})", parts.collect::<Vec<_>>().join(" and "))
        };
        let groups: Vec<String> = groups.iter().map(one).collect();
        format!("({})", groups.join(" or "))
    }
}

/// A group's name for people.
pub(super) fn spell(group: &Group) -> String {
    if group.is_empty() {
        return "all".to_owned();
    }
    let parts = group
        .iter()
        .map(|value| value.as_deref().unwrap_or("(unknown)"));
    parts.collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_selected_by_all_of_their_columns() {
        let groups = [
            vec![Some("a/b".to_owned()), Some("it's".to_owned())],
            vec![Some("c".to_owned()), None],
        ];
        assert_eq!(
            GroupBy::Name.among(&groups),
            "((project = 'a/b' and name = 'it''s') or (project = 'c' and name is null))"
        );
        assert_eq!(GroupBy::None.among(&[vec![]]), "true");
        let [first, second] = groups;
        assert_eq!(spell(&first), "a/b / it's");
        assert_eq!(spell(&second), "c / (unknown)");
        assert_eq!(spell(&Vec::new()), "all");
    }

    #[test]
    fn every_grouping_is_found_by_its_name() {
        for by in GroupBy::ALL {
            assert_eq!(GroupBy::by_name(by.name()).unwrap(), by);
        }
        assert!(GroupBy::by_name("sha").is_err());
    }
}
