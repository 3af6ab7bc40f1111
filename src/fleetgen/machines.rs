//! Regions, machine types and runners of the made-up fleet.

use super::FleetSpec;
use super::random::pick;
use crate::num;

const GIB: i64 = 1 << 30;

/// Where one Prometheus and its machines stand.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) name: &'static str,
    pub(super) scrape_ms: i64,
    /// Hours of its day before UTC's.
    pub(super) shift_hours: i64,
    /// Share of the projects.
    share: f64,
}

static REGIONS: [Region; 3] = [
    Region {
        name: "eu-1",
        scrape_ms: 15_000,
        shift_hours: 1,
        share: 0.5,
    },
    Region {
        name: "us-1",
        scrape_ms: 10_000,
        shift_hours: -6,
        share: 0.35,
    },
    Region {
        name: "ap-1",
        scrape_ms: 15_000,
        shift_hours: 8,
        share: 0.15,
    },
];

/// A kind of machine.
#[derive(Debug)]
pub(super) struct MachineType {
    pub(super) name: &'static str,
    pub(super) cores: i32,
    pub(super) memory_bytes: i64,
    pub(super) disk_bytes: i64,
    /// Per hour, in millionths; own hardware has none.
    pub(super) price_micro: Option<i64>,
}

const fn machine_type(
    name: &'static str,
    cores: i32,
    memory_gib: i64,
    price_micro: i64,
) -> MachineType {
    MachineType {
        name,
        cores,
        memory_bytes: memory_gib * GIB,
        disk_bytes: 100 * GIB,
        price_micro: if price_micro == 0 {
            None
        } else {
            Some(price_micro)
        },
    }
}

/// How the machines of a runner come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Each job has a machine of its own.
    Autoscaled,
    /// So many hosts stay, and jobs share them.
    Hosts(u64),
}

/// Runners that differ in their number only.
#[derive(Debug)]
struct Class {
    name: &'static str,
    machine: MachineType,
    tags: &'static [&'static str],
    autoscaled: bool,
    /// Share of the definitions that ask for it; next to nothing is an idle one.
    share: f64,
}

const fn class(
    name: &'static str,
    machine: MachineType,
    tags: &'static [&'static str],
    autoscaled: bool,
    share: f64,
) -> Class {
    Class {
        name,
        machine,
        tags,
        autoscaled,
        share,
    }
}

static CLASSES: [Class; 10] = [
    class(
        "small",
        machine_type("n2-standard-2", 2, 8, 97_100),
        &["docker", "linux", "small"],
        true,
        0.32,
    ),
    class(
        "medium",
        machine_type("n2-standard-4", 4, 16, 194_200),
        &["docker", "linux", "medium"],
        true,
        0.27,
    ),
    class(
        "large",
        machine_type("n2-standard-8", 8, 32, 388_500),
        &["docker", "linux", "large"],
        true,
        0.13,
    ),
    class(
        "xlarge",
        machine_type("n2-standard-16", 16, 64, 776_900),
        &["docker", "linux", "xlarge"],
        true,
        0.03,
    ),
    class(
        "highmem",
        machine_type("n2-highmem-8", 8, 64, 524_000),
        &["docker", "linux", "highmem"],
        true,
        0.04,
    ),
    class(
        "spot",
        machine_type("t2d-standard-4", 4, 16, 51_000),
        &["docker", "linux", "spot"],
        true,
        0.08,
    ),
    class(
        "arm",
        machine_type("t2a-standard-8", 8, 32, 308_000),
        &["docker", "linux", "arm64"],
        true,
        0.02,
    ),
    class(
        "build-host",
        machine_type("own-32", 32, 128, 0),
        &["shell", "linux", "bare-metal"],
        false,
        0.09,
    ),
    class(
        "legacy",
        machine_type("e2-standard-2", 2, 8, 67_000),
        &["docker", "linux", "legacy"],
        false,
        0.018,
    ),
    class(
        "burst",
        machine_type("c2-standard-16", 16, 64, 835_200),
        &["docker", "linux", "burst"],
        true,
        0.002,
    ),
];

/// A runner.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) id: u64,
    pub(super) description: String,
    pub(super) tags: &'static [&'static str],
    pub(super) region: &'static Region,
    pub(super) machine: &'static MachineType,
    pub(super) pool: Pool,
}

impl Runner {
    pub(super) fn executor(&self) -> &'static str {
        match self.pool {
            Pool::Autoscaled => "docker-autoscaler",
            Pool::Hosts(_) if self.tags.contains(&"shell") => "shell",
            Pool::Hosts(_) => "docker",
        }
    }
}

/// Runners among which a job's is picked by chance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    first: usize,
    count: usize,
    pub(super) machine: &'static MachineType,
}

impl Slot {
    pub(super) fn any(self, rng: &mut fastrand::Rng) -> usize {
        self.first + rng.usize(..self.count)
    }
}

/// All runners.
#[derive(Debug)]
pub(super) struct Runners {
    pub(super) all: Vec<Runner>,
    /// By region, then by class.
    slots: Vec<[Slot; CLASSES.len()]>,
    class_shares: Vec<f64>,
    region_shares: Vec<f64>,
}

impl Runners {
    pub(super) fn new(spec: &FleetSpec) -> Self {
        let mut all = Vec::new();
        // One manager serves some hundred jobs a day.
        let per_day = spec.jobs / u64::from(spec.days.max(1));
        let managers = num::to_usize((per_day / 600).clamp(1, 6));
        let slots = REGIONS
            .iter()
            .map(|region| {
                CLASSES
                    .each_ref()
                    .map(|class| slot(&mut all, region, class, managers, spec))
            })
            .collect();
        Self {
            all,
            slots,
            class_shares: cumulative(CLASSES.iter().map(|class| class.share)),
            region_shares: cumulative(REGIONS.iter().map(|region| region.share)),
        }
    }

    /// A region's number and the region.
    pub(super) fn region(&self, rng: &mut fastrand::Rng) -> (usize, &'static Region) {
        let number = pick(&self.region_shares, rng);
        let [home, ..] = &REGIONS;
        (number, REGIONS.get(number).unwrap_or(home))
    }

    /// A slot of a region: mostly one that has room for so much memory and is not far too large.
    pub(super) fn slot(
        &self,
        region: usize,
        memory_bytes: f64,
        rng: &mut fastrand::Rng,
    ) -> Option<Slot> {
        let slots = self.slots.get(region)?;
        let careless = rng.u8(..4) == 0;
        let mut slot = slots.get(pick(&self.class_shares, rng)).copied();
        for _ in 0..16 {
            let room = slot.map_or(0.0, |slot| num::to_f64(slot.machine.memory_bytes));
            let fits = memory_bytes * 1.2 + 1e9 < room;
            let wasteful = !careless && room > 12.0 * memory_bytes + 8e9;
            if fits && !wasteful {
                break;
            }
            slot = slots.get(pick(&self.class_shares, rng)).copied();
        }
        slot
    }
}

fn slot(
    all: &mut Vec<Runner>,
    region: &'static Region,
    class: &'static Class,
    managers: usize,
    spec: &FleetSpec,
) -> Slot {
    let first = all.len();
    let count = if class.autoscaled { managers } else { 1 };
    let pool = if class.autoscaled {
        Pool::Autoscaled
    } else {
        // So many that on the average seven of ten are busy with one job.
        let per_day = num::to_f64(num::len_i64(num::to_usize(spec.jobs))) / f64::from(spec.days);
        let busy = per_day * class.share * region.share * spec.mean_seconds() / 86_400.0;
        Pool::Hosts(
            u64::try_from(super::random::whole(busy / 0.7))
                .unwrap_or(0)
                .max(2),
        )
    };
    for number in 1..=count {
        all.push(Runner {
            id: 4_000 + num::len_u64(all.len()),
            description: format!("{}-{}-{number}", region.name, class.name),
            tags: class.tags,
            region,
            machine: &class.machine,
            pool,
        });
    }
    Slot {
        first,
        count,
        machine: &class.machine,
    }
}

/// Running sums.
pub(super) fn cumulative(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}
