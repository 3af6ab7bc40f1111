//! Erasure of fields: what is said of a job once its ref, machine or section names were erased.

use super::archived::JobRow;
use super::job::JobFacts;
use serde::{Deserialize, Serialize};

/// What stands for the name of an erased section: its times and its usage stay.
pub const ERASED_SECTION: &str = "erased";

/// Which texts of a job are erased; everything else of it stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Branch or tag.
    #[serde(rename = "ref")]
    pub git_ref: bool,
    /// The machine's name.
    pub machine: bool,
    /// The names of its sections.
    pub sections: bool,
}

impl Fields {
    /// Whether there is nothing to erase.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            git_ref: self.git_ref || other.git_ref,
            machine: self.machine || other.machine,
            sections: self.sections || other.sections,
        }
    }

    /// Their words.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        [
            ("ref", self.git_ref),
            ("machine", self.machine),
            ("sections", self.sections),
        ]
        .into_iter()
        .filter_map(|(word, erased)| erased.then_some(word))
        .collect()
    }

    /// The field of that word, alone.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let mut fields = Self::default();
        match word {
            "ref" => fields.git_ref = true,
            "machine" => fields.machine = true,
            "sections" => fields.sections = true,
            _ => return None,
        }
        Some(fields)
    }

    /// Takes the texts out of what is known.
    pub fn erase_from(self, facts: &mut JobFacts) {
        if self.git_ref {
            facts.git_ref = None;
        }
        if self.machine {
            facts.machine = None;
        }
        if self.sections {
            for section in facts.sections.iter_mut().flatten() {
                ERASED_SECTION.clone_into(&mut section.name);
            }
        }
    }

    /// Takes the texts out of a row; says whether it held any.
    pub fn erase_from_row(self, row: &mut JobRow) -> bool {
        let before = row.facts.clone();
        self.erase_from(&mut row.facts);
        row.facts != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::{MergedFacts, Section};
    use crate::model::machine::Machine;
    use crate::time::{TimeRange, TimestampMs};

    #[test]
    fn words_name_their_fields_and_only_those_go() {
        let facts = JobFacts {
            git_ref: Some("secret".to_owned()),
            machine: Machine::parse("m-1").ok(),
            name: Some("unit".to_owned()),
            sections: Some(vec![Section {
                name: "secret".to_owned(),
                range: TimeRange::new(TimestampMs(1), TimestampMs(2)),
            }]),
            ..JobFacts::default()
        };
        let mut all = Fields::default();
        for word in ["ref", "machine", "sections"] {
            let one = Fields::of_word(word).unwrap();
            assert_eq!(one.words(), [word]);
            assert!(all != all.and(one), "{word} is erased already");
            all = all.and(one);
        }
        assert!(Fields::of_word("name").is_none() && Fields::default().is_empty());
        let mut merged = MergedFacts::from_facts(facts);
        merged.erase(all);
        let left = merged.facts();
        assert_eq!((&left.git_ref, &left.machine), (&None, &None));
        assert_eq!(left.name.as_deref(), Some("unit"));
        assert_eq!(left.sections()[0].name, ERASED_SECTION);
        assert_eq!(left.sections()[0].range.len_ms(), 1);
    }
}
