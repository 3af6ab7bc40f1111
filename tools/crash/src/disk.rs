//! A disk as the calls of a log leave it, and what of it a power cut may leave behind.
//!
//! Two models of a file system:
//! - `Strict`: POSIX and no more. A file's bytes are durable after a sync of the file, a name after a
//!   sync of its directory. What was not synced may be missing: of a file any of the writes, in any
//!   combination, each whole or torn at a sector; of a directory everything from some change on. Files
//!   and directories are independent of each other.
//! - `Journal`: ext4 with ordered data. Names change in one order over the whole disk, and any sync
//!   commits all changes of names before it. Of a file's unsynced writes a beginning is there.
//!
//! Replacing a name by `rename` is atomic in both.

use crate::record::{Call, Record};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const SECTOR: usize = 512;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Strict,
    Journal,
}

impl Model {
    pub(crate) const ALL: [Self; 2] = [Self::Strict, Self::Journal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict POSIX",
            Self::Journal => "ext4-like",
        }
    }
}

type FileId = usize;
type DirId = usize;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(FileId),
    Dir(DirId),
}

#[derive(Debug, Clone)]
enum Edit {
    Write { offset: usize, data: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Default)]
struct File {
    /// As processes see it.
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Edit>,
}

/// A change of names in one directory: atomic.
#[derive(Debug, Clone)]
struct Change {
    dir: DirId,
    removed: Option<String>,
    set: Option<(String, Node)>,
}

#[derive(Debug, Default, Clone)]
struct Dir {
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

/// A file of a state: its path, what is there, and whether that is all that was ever written to it.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) whole: bool,
}

/// A state of the disk after a power cut.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) dirs: Vec<String>,
    pub(crate) files: Vec<Left>,
}

/// The disk while a log is played.
#[derive(Debug)]
pub(crate) struct Disk {
    root: String,
    model: Model,
    files: Vec<File>,
    dirs: Vec<Dir>,
    /// Changes of names that no sync covered, in order.
    changes: Vec<Change>,
    open: HashMap<i32, Node>,
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    match edit {
        Edit::Write { offset, data } => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let Some(place) = bytes.get_mut(*offset..end) {
                place.copy_from_slice(data);
            }
        }
        Edit::Resize(len) => bytes.resize(*len, 0),
    }
}

fn change(names: &mut BTreeMap<String, Node>, change: &Change) {
    if let Some(name) = &change.removed {
        names.remove(name);
    }
    if let Some((name, node)) = &change.set {
        names.insert(name.clone(), *node);
    }
}

impl Disk {
    /// An empty disk whose directory `root` is durable.
    pub(crate) fn new(root: &Path, model: Model) -> Self {
        Self {
            root: root.display().to_string(),
            model,
            files: Vec::new(),
            dirs: vec![Dir::default()],
            changes: Vec::new(),
            open: HashMap::new(),
        }
    }

    fn look_up(&self, path: &str) -> Option<Node> {
        let mut node = Node::Dir(0);
        let inside = path.strip_prefix(&self.root)?;
        for part in inside.split('/').filter(|part| !part.is_empty()) {
            let Node::Dir(dir) = node else { return None };
            node = *self.dirs.get(dir)?.live.get(part)?;
        }
        Some(node)
    }

    /// The directory of a path and its last name.
    fn place(&self, path: &str) -> Option<(DirId, String)> {
        let (parent, name) = path.trim_end_matches('/').rsplit_once('/')?;
        match self.look_up(parent)? {
            Node::Dir(dir) => Some((dir, name.to_owned())),
            Node::File(_) => None,
        }
    }

    fn changed(&mut self, change_of: Change) {
        if let Some(dir) = self.dirs.get_mut(change_of.dir) {
            change(&mut dir.live, &change_of);
            self.changes.push(change_of);
        }
    }

    fn edited(&mut self, fd: i32, edit: Edit) {
        if let Some(Node::File(file)) = self.open.get(&fd)
            && let Some(file) = self.files.get_mut(*file)
        {
            apply(&mut file.live, &edit);
            file.pending.push(edit);
        }
    }

    /// Plays one call. A failed sync makes nothing durable; any other failed call did nothing.
    pub(crate) fn play(&mut self, record: &Record) {
        if record.failed {
            return;
        }
        match &record.call {
            Call::Start | Call::End { .. } => self.open.clear(),
            Call::Open {
                fd,
                path,
                created,
                emptied,
            } => self.opened(*fd, path, *created, *emptied),
            Call::Close { fd } => {
                self.open.remove(fd);
            }
            Call::Write { fd, offset, data } => {
                self.edited(
                    *fd,
                    Edit::Write {
                        offset: *offset,
                        data: data.clone(),
                    },
                );
            }
            Call::Truncate { fd, bytes } => self.edited(*fd, Edit::Resize(*bytes)),
            Call::Grow { fd, bytes } => {
                if let Some(Node::File(file)) = self.open.get(fd)
                    && self
                        .files
                        .get(*file)
                        .is_some_and(|file| file.live.len() < *bytes)
                {
                    self.edited(*fd, Edit::Resize(*bytes));
                }
            }
            Call::Sync { fd } => self.synced(*fd),
            Call::Mkdir { path } => {
                if let Some((dir, name)) = self.place(path) {
                    self.dirs.push(Dir::default());
                    let node = Node::Dir(self.dirs.len() - 1);
                    self.changed(Change {
                        dir,
                        removed: None,
                        set: Some((name, node)),
                    });
                }
            }
            Call::Rename { from, to } => self.renamed(from, to),
            Call::Link { from, to } => {
                if let (Some(node), Some((dir, name))) = (self.look_up(from), self.place(to)) {
                    self.changed(Change {
                        dir,
                        removed: None,
                        set: Some((name, node)),
                    });
                }
            }
            Call::Unlink { path } | Call::Rmdir { path } => {
                if let Some((dir, name)) = self.place(path) {
                    self.changed(Change {
                        dir,
                        removed: Some(name),
                        set: None,
                    });
                }
            }
        }
    }

    fn opened(&mut self, fd: i32, path: &str, created: bool, emptied: bool) {
        let known = self.look_up(path);
        if known.is_none()
            && created
            && let Some((dir, name)) = self.place(path)
        {
            self.files.push(File::default());
            let node = Node::File(self.files.len() - 1);
            self.changed(Change {
                dir,
                removed: None,
                set: Some((name, node)),
            });
        }
        match self.look_up(path) {
            Some(node) => self.open.insert(fd, node),
            None => self.open.remove(&fd),
        };
        if emptied && known.is_some() {
            self.edited(fd, Edit::Resize(0));
        }
    }

    fn renamed(&mut self, from: &str, to: &str) {
        let Some(node) = self.look_up(from) else {
            return;
        };
        let (Some((source, old)), Some((target, new))) = (self.place(from), self.place(to)) else {
            return;
        };
        if source == target {
            self.changed(Change {
                dir: source,
                removed: Some(old),
                set: Some((new, node)),
            });
        } else {
            // Two directories: strictly, each of them may or may not know of it.
            self.changed(Change {
                dir: target,
                removed: None,
                set: Some((new, node)),
            });
            self.changed(Change {
                dir: source,
                removed: Some(old),
                set: None,
            });
        }
    }

    fn synced(&mut self, fd: i32) {
        let node = self.open.get(&fd).copied();
        if let Some(Node::File(file)) = node
            && let Some(file) = self.files.get_mut(file)
        {
            file.durable = file.live.clone();
            file.pending.clear();
        }
        let covered = |dir: DirId| match self.model {
            Model::Strict => node == Some(Node::Dir(dir)),
            Model::Journal => node.is_some(),
        };
        let (durable, left) = self
            .changes
            .drain(..)
            .partition(|change| covered(change.dir));
        self.changes = left;
        let durable: Vec<Change> = durable;
        for one in &durable {
            if let Some(dir) = self.dirs.get_mut(one.dir) {
                change(&mut dir.durable, one);
            }
        }
    }

    /// What a power cut at this moment leaves, one of many possibilities.
    pub(crate) fn cut(&self, rng: &mut fastrand::Rng) -> State {
        let mut names: Vec<BTreeMap<String, Node>> =
            self.dirs.iter().map(|dir| dir.durable.clone()).collect();
        let mut left = BTreeMap::new();
        let all = self.some(rng, self.changes.len());
        for (at, one) in self.changes.iter().enumerate() {
            let kept = match self.model {
                Model::Journal => at < all,
                Model::Strict => {
                    let of_dir = self
                        .changes
                        .iter()
                        .filter(|other| other.dir == one.dir)
                        .count();
                    let room = left
                        .entry(one.dir)
                        .or_insert_with(|| self.some(rng, of_dir));
                    let kept = *room > 0;
                    *room = room.saturating_sub(1);
                    kept
                }
            };
            if let Some(dir) = names.get_mut(one.dir).filter(|_| kept) {
                change(dir, one);
            }
        }
        let mut state = State::default();
        self.walk(&names, 0, "", rng, &mut state);
        state
    }

    /// None, all, or some number in between, each often.
    fn some(&self, rng: &mut fastrand::Rng, all: usize) -> usize {
        match rng.u8(..3) {
            0 => 0,
            1 => all,
            _ => rng.usize(0..=all),
        }
    }

    fn walk(
        &self,
        names: &[BTreeMap<String, Node>],
        dir: DirId,
        path: &str,
        rng: &mut fastrand::Rng,
        state: &mut State,
    ) {
        for (name, node) in names.get(dir).into_iter().flatten() {
            let path = format!("{path}/{name}");
            match node {
                Node::Dir(dir) => {
                    state.dirs.push(path.clone());
                    self.walk(names, *dir, &path, rng, state);
                }
                Node::File(file) => {
                    if let Some(file) = self.files.get(*file) {
                        let bytes = self.torn(file, rng);
                        let whole = bytes == file.live;
                        state.files.push(Left { path, bytes, whole });
                    }
                }
            }
        }
    }

    fn torn(&self, file: &File, rng: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = file.durable.clone();
        let kept = self.some(rng, file.pending.len());
        // Strict: any of the writes. Journal: a beginning, the last one torn.
        let share = *rng.choice(&[0.0, 0.5, 0.9, 1.0]).unwrap_or(&1.0);
        for (at, edit) in file.pending.iter().enumerate() {
            let (applies, tears) = match self.model {
                Model::Strict => (rng.f64() < share, rng.u8(..4) == 0),
                Model::Journal => (at < kept, at + 1 == kept && rng.bool()),
            };
            if !applies {
                continue;
            }
            match edit {
                Edit::Write { offset, data } if tears => {
                    let sectors = rng.usize(0..=data.len() / SECTOR);
                    // Up to a sector's border of the file.
                    let end = (offset / SECTOR + sectors) * SECTOR;
                    let len = end.saturating_sub(*offset).min(data.len());
                    let data = data.get(..len).unwrap_or_default().to_vec();
                    apply(
                        &mut bytes,
                        &Edit::Write {
                            offset: *offset,
                            data,
                        },
                    );
                }
                edit => apply(&mut bytes, edit),
            }
        }
        bytes
    }
}

impl State {
    /// Writes the part of the state below `inside` (a path below the disk's root) to `target`.
    pub(crate) fn write(&self, inside: &str, target: &Path) -> std::io::Result<()> {
        let below = |path: &str| {
            path.strip_prefix(inside)
                .map(|rest| rest.trim_start_matches('/').to_owned())
        };
        for dir in self.dirs.iter().filter_map(|dir| below(dir)) {
            std::fs::create_dir_all(target.join(dir))?;
        }
        for file in &self.files {
            if let Some(path) = below(&file.path) {
                std::fs::write(target.join(path), &file.bytes)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(model: Model, calls: Vec<Call>) -> Disk {
        let mut disk = Disk::new(Path::new("/r"), model);
        for call in calls {
            disk.play(&Record {
                call,
                failed: false,
            });
        }
        disk
    }

    fn open(fd: i32, path: &str, created: bool) -> Call {
        Call::Open {
            fd,
            path: path.to_owned(),
            created,
            emptied: false,
        }
    }

    fn write(data: &[u8]) -> Call {
        Call::Write {
            fd: 3,
            offset: 0,
            data: data.to_vec(),
        }
    }

    /// Whether /r/f is there with these bytes in all, some or none of many states.
    fn share(disk: &Disk, bytes: &[u8]) -> usize {
        let mut rng = fastrand::Rng::with_seed(1);
        let there = |_: &usize| {
            let state = disk.cut(&mut rng);
            state
                .files
                .iter()
                .any(|file| file.path == "/f" && file.bytes == bytes)
        };
        (0..200).filter(there).count()
    }

    #[test]
    fn a_file_needs_its_own_sync_and_its_directorys() {
        let data = [write(b"abc"), Call::Sync { fd: 3 }];
        let file = [vec![open(3, "/r/f", true)], data.to_vec()].concat();
        let some = share(&played(Model::Strict, file.clone()), b"abc");
        assert!((1..200).contains(&some), "{some}");
        assert_eq!(share(&played(Model::Journal, file.clone()), b"abc"), 200);
        let named = [file, vec![open(4, "/r", false), Call::Sync { fd: 4 }]].concat();
        assert_eq!(share(&played(Model::Strict, named.clone()), b"abc"), 200);
        let more = [
            named,
            vec![Call::Write {
                fd: 3,
                offset: 3,
                data: b"d".to_vec(),
            }],
        ]
        .concat();
        for model in Model::ALL {
            let disk = played(model, more.clone());
            let (old, new) = (share(&disk, b"abc"), share(&disk, b"abcd"));
            assert!(old > 0 && new > 0 && old + new <= 200, "{old} {new}");
        }
    }

    #[test]
    fn a_replaced_name_is_the_old_or_the_new_file() {
        for model in Model::ALL {
            let disk = played(
                model,
                vec![
                    open(3, "/r/f", true),
                    write(b"old"),
                    Call::Sync { fd: 3 },
                    open(3, "/r/g", true),
                    write(b"new"),
                    Call::Sync { fd: 3 },
                    open(4, "/r", false),
                    Call::Sync { fd: 4 },
                    Call::Rename {
                        from: "/r/g".to_owned(),
                        to: "/r/f".to_owned(),
                    },
                ],
            );
            let (old, new) = (share(&disk, b"old"), share(&disk, b"new"));
            assert!(old > 0 && new > 0);
            assert_eq!(old + new, 200);
        }
    }

    #[test]
    fn a_failed_sync_makes_nothing_durable() {
        let mut disk = played(Model::Journal, vec![open(3, "/r/f", true), write(b"abc")]);
        disk.play(&Record {
            call: Call::Sync { fd: 3 },
            failed: true,
        });
        assert!(share(&disk, b"abc") < 200);
    }
}
