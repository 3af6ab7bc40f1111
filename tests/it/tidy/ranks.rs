//! The rank table of ARCHITECTURE.md.
//!
//! A fenced block of lines `rank N  name name name   comment`; three blanks begin the comment.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Ranks(BTreeMap<String, u32>);

impl Ranks {
    /// Reads the first fenced block that has such lines.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut ranks = BTreeMap::new();
        let mut blocks = text.split("```").skip(1).step_by(2);
        let table = blocks
            .find(|block| block.lines().any(|line| line.starts_with("rank ")))
            .ok_or("no fenced block has lines `rank N  name name   comment`")?;
        for line in table.lines() {
            let Some(rest) = line.strip_prefix("rank ") else {
                continue;
            };
            let (number, names) = rest.split_once(' ').ok_or(format!("no names: {line}"))?;
            let number: u32 = number.parse().map_err(|_| format!("no rank: {line}"))?;
            let names = names.trim_start();
            let names = names.split_once("   ").map_or(names, |(names, _)| names);
            for name in names.split_whitespace() {
                if ranks.insert(name.to_owned(), number).is_some() {
                    return Err(format!("{name} has two ranks"));
                }
            }
        }
        Ok(Self(ranks))
    }

    pub(super) fn of(&self, module: &str) -> Option<u32> {
        self.0.get(module).copied()
    }
}

#[test]
fn the_table_is_read() {
    let text = "# Map\n```\nno table\n```\n```text\n\
        rank 0  error time     words\n\
        rank 1  model  source_port      the domain (job, http)\n\
        rank 2  http\n```\n";
    let ranks = Ranks::parse(text).unwrap();
    assert_eq!(ranks.of("time"), Some(0));
    assert_eq!(ranks.of("source_port"), Some(1));
    assert_eq!((ranks.of("http"), ranks.of("domain")), (Some(2), None));
    assert!(Ranks::parse("no block").is_err());
    assert!(Ranks::parse("```\nrank 0  a\nrank 1  a\n```").is_err());
}
