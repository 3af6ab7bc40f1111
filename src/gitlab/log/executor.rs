//! The runner's executors, and which of the names in a log is the job's machine.
//!
//! The runner says `Running on A via B...`. A is the host name where the script runs, which may be a
//! container or a pod; B is the host name of the runner's own process, or what the executor put there.

/// How an executor names the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// A: the script runs on the machine itself.
    Script,
    /// B: the script runs in a container of it.
    Via,
    /// B if there is one, else A: what the driver reported counts more.
    ViaOrScript,
    /// The instance that was dialled: A is a container of it, B the runner's own machine.
    Dialled,
    /// A, but the dialled instance if A is a virtual machine inside of it, or not said.
    ScriptOrDialled,
    /// The node of the pod A.
    Node,
}

/// Executors by the word in `Preparing the "..." executor`.
const WORDS: [(&str, Naming); 13] = [
    ("shell", Naming::Script),
    ("docker", Naming::Via),
    ("docker-windows", Naming::Via),
    ("docker-ssh", Naming::Via),
    ("docker+machine", Naming::Via),
    ("docker-ssh+machine", Naming::Via),
    ("docker-autoscaler", Naming::Dialled),
    ("instance", Naming::ScriptOrDialled),
    ("kubernetes", Naming::Node),
    ("ssh", Naming::Script),
    ("virtualbox", Naming::Script),
    ("parallels", Naming::Script),
    ("custom", Naming::ViaOrScript),
];

/// What runners before 12.7 say instead. "Docker" may be `docker` or `docker+machine` there; both
/// name the machine in the same way.
const OLD_LINES: [(&str, Naming); 7] = [
    ("Using Docker executor with image ", Naming::Via),
    ("Using Docker-SSH executor with image ", Naming::Via),
    ("Using Shell executor", Naming::Script),
    ("Using Shell (", Naming::Script),
    ("Using SSH executor", Naming::Script),
    ("Using Kubernetes executor with image ", Naming::Node),
    ("Using Custom executor", Naming::ViaOrScript),
];

/// How the executor of that word names the machine; `None` for an executor that is not known.
pub(super) fn naming_of_word(word: &str) -> Option<Naming> {
    let known = WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, naming)| *naming)
}

/// The same from a line of an old runner.
pub(super) fn naming_of_old_line(line: &str) -> Option<Naming> {
    let is_guest = |product| line.starts_with(product) && line.ends_with("executor...");
    if is_guest("Using VirtualBox version ") || is_guest("Using Parallels version ") {
        return Some(Naming::Script);
    }
    let known = OLD_LINES.iter().find(|(start, _)| line.starts_with(start));
    known.map(|(_, naming)| *naming)
}

/// The names that a log gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// A.
    pub(super) script: Option<String>,
    /// B.
    pub(super) via: Option<String>,
    /// Id of the instance that was dialled last.
    pub(super) dialled: Option<String>,
    /// Whether the job got a virtual machine inside that instance.
    pub(super) is_nested: bool,
    /// Pods and their nodes; `None` for a pod that has two.
    pub(super) nodes: Vec<(String, Option<String>)>,
}

/// Pods of one job whose nodes are kept; there is a second one only after a failed pull.
const PODS_MAX: usize = 8;

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl Names {
    /// Takes the host line, `Running on A via B...` or `Running on A...`.
    pub(super) fn take_host_line(&mut self, line: &str) -> bool {
        let Some(names) = line
            .strip_prefix("Running on ")
            .and_then(|rest| rest.strip_suffix("..."))
        else {
            return false;
        };
        let (script, via) = match names.split_once(" via ") {
            Some((script, via)) => (script, Some(via)),
            // Without the program `hostname` A is empty; the blank before "via" is then the first.
            None => match names.strip_prefix("via ") {
                Some(via) => ("", Some(via)),
                None => (names, None),
            },
        };
        self.script = non_empty(script);
        self.via = via.and_then(non_empty);
        true
    }

    /// Takes `Dialing instance ID[, address]...` and `Instance ID connected`.
    pub(super) fn take_dial_line(&mut self, line: &str) {
        let dialled = line
            .strip_prefix("Dialing instance ")
            .and_then(|rest| rest.strip_suffix("..."))
            .map(|rest| rest.split_once(',').map_or(rest, |(id, _)| id));
        let connected = line
            .strip_prefix("Instance ")
            .and_then(|rest| rest.strip_suffix(" connected"));
        if let Some(id) = dialled.or(connected) {
            self.dialled = Some(id.to_owned());
            self.is_nested = false;
        }
        self.is_nested |= line.starts_with("Created nesting VM ");
    }

    /// Takes `Waiting for pod NAMESPACE/POD to be running on the node NODE, status is PHASE` and, with
    /// `FF_PRINT_POD_EVENTS`, `Normal Scheduled Successfully assigned NAMESPACE/POD to NODE`.
    pub(super) fn take_node_line(&mut self, line: &str) {
        let waiting = line.strip_prefix("Waiting for pod ").and_then(|rest| {
            let (pod, rest) = rest.split_once(" to be running on the node ")?;
            Some((pod, rest.split_once(", status is ")?.0))
        });
        let assigned = || {
            let rest = line.strip_prefix("Normal")?.trim_start();
            let rest = rest.strip_prefix("Scheduled")?.trim_start();
            let rest = rest.strip_prefix("Successfully assigned ")?;
            rest.split_once(" to ")
        };
        let Some((pod, node)) = waiting.or_else(assigned) else {
            return;
        };
        let node = node.trim_matches('"');
        let pod = pod.rsplit_once('/').map_or(pod, |(_, pod)| pod);
        if pod.is_empty() || node.is_empty() {
            return;
        }
        let known = self.nodes.iter_mut().find(|(known, _)| known == pod);
        if let Some((_, known)) = known {
            // A pod never moves: somebody else printed one of the lines.
            if known.as_deref().is_some_and(|known| known != node) {
                *known = None;
            }
        } else if self.nodes.len() < PODS_MAX {
            self.nodes.push((pod.to_owned(), Some(node.to_owned())));
        }
    }

    /// The machine.
    pub(super) fn machine(&self, naming: Naming) -> Option<&str> {
        let script = self.script.as_deref();
        let via = self.via.as_deref();
        let dialled = self.dialled.as_deref();
        match naming {
            Naming::Script => script,
            Naming::Via => via,
            Naming::ViaOrScript => via.or(script),
            Naming::Dialled => dialled,
            Naming::ScriptOrDialled if self.is_nested => dialled,
            Naming::ScriptOrDialled => script.or(dialled),
            Naming::Node => self.node(script),
        }
    }

    fn node(&self, pod: Option<&str>) -> Option<&str> {
        let of_pod = self
            .nodes
            .iter()
            .find(|(known, _)| Some(known.as_str()) == pod);
        let only = match self.nodes.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        of_pod.or(only)?.1.as_deref()
    }
}
