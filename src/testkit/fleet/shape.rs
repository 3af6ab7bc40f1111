//! What kinds of jobs there are, as rates at one moment.

const MIB: f64 = 1_048_576.0;

/// What a job does to its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// All cores busy after a start, memory swells and shrinks.
    Compile,
    /// One busy core.
    Test,
    /// Waits for the disk.
    Io,
    /// Receives for 40 % of its time, then little.
    Download,
    /// Memory grows to the limit; the kernel kills it.
    Leak,
    /// Busy for 30 % of its time, then nothing moves.
    Hang,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Compile,
        Self::Test,
        Self::Io,
        Self::Download,
        Self::Leak,
        Self::Hang,
    ];
}

/// Rates of a machine. Bytes and seconds per second; memory is a share of the total.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    /// Busy cores, steal included.
    pub(super) cores: f64,
    /// All of it on one core after the other instead of spread evenly.
    pub(super) one_core: bool,
    pub(super) iowait: f64,
    pub(super) receive: f64,
    pub(super) transmit: f64,
    pub(super) read: f64,
    pub(super) written: f64,
    pub(super) memory: f64,
    pub(super) processes: f64,
    pub(super) pressure_cpu: f64,
    pub(super) pressure_memory: f64,
    pub(super) pressure_io: f64,
}

/// A machine without a job.
pub(super) fn idle(cpus: f64) -> Rates {
    Rates {
        cores: 0.03 * cpus,
        one_core: false,
        iowait: 0.01,
        receive: 2e4,
        transmit: 1e4,
        read: 1e4,
        written: 5e4,
        memory: 0.05,
        processes: 2.0,
        pressure_cpu: 0.0,
        pressure_memory: 0.0,
        pressure_io: 0.0,
    }
}

/// A machine with a job of that shape at `progress` in [0, 1).
pub(super) fn busy(shape: Shape, progress: f64, cpus: f64, rng: &mut fastrand::Rng) -> Rates {
    let n = 0.9 + 0.2 * rng.f64();
    let rest = idle(cpus);
    match shape {
        Shape::Compile => Rates {
            cores: cpus * (if progress > 0.1 { 0.95 } else { 0.3 }) * n.min(1.04),
            memory: 0.15 + 0.35 * (std::f64::consts::PI * progress).sin(),
            written: 8.0 * MIB * n,
            processes: cpus + 3.0,
            pressure_cpu: 0.35 * n,
            ..rest
        },
        Shape::Test => Rates {
            cores: n.min(1.02),
            one_core: true,
            memory: 0.3,
            transmit: 4e4 * n,
            ..rest
        },
        Shape::Io => Rates {
            cores: 0.3,
            iowait: 0.55 * n,
            read: 90.0 * MIB * n,
            written: 60.0 * MIB * n,
            memory: 0.25,
            pressure_io: 0.6 * n,
            ..rest
        },
        Shape::Download => {
            let receives = progress < 0.4;
            Rates {
                cores: 0.4,
                receive: (if receives { 105.0 * MIB } else { 3e5 }) * n,
                written: (if receives { 85.0 * MIB } else { 1e6 }) * n,
                memory: 0.2,
                ..rest
            }
        }
        Shape::Leak => Rates {
            cores: 1.2,
            memory: 0.1 + 0.88 * progress,
            pressure_memory: (progress - 0.7).max(0.0) * 2.0,
            ..rest
        },
        Shape::Hang => Rates {
            cores: if progress < 0.3 { 0.9 } else { 0.01 },
            memory: 0.2,
            ..rest
        },
    }
}
