//! State, reason and verdict of a job: absence of data is data, so it always has a word.
//!
//! The words are closed lists; the OpenAPI document publishes them.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal : $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(#[doc = $text] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// A sentence for people.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value of that word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where a job is in its life here.
    State {
        Pending = "pending": "Known, not yet archived; the reason says what it waits for.",
        Live = "live": "Running.",
        Archived = "archived": "Its profile is in the archive.",
        Expired = "expired": "Its samples were removed by retention; the summary stays.",
        Unavailable = "unavailable": "There is no profile and there will be none; the reason says why.",
    }
}

words! {
    /// Why a job is not archived (yet).
    Reason {
        NotStarted = "not_started": "The job has not started.",
        WaitingForStart = "waiting_for_start": "The job ended, but its start is not known yet.",
        WaitingForFinish = "waiting_for_finish": "The job ended, but the time of its end is not known yet.",
        WaitingForRunner = "waiting_for_runner": "The job's runner is not registered. Register it with PUT /api/v1/runners/{source}/{runner_id}; the job is archived then.",
        WaitingForRegion = "waiting_for_region": "The runner's region is not registered. Register it with PUT /api/v1/regions/{name}; the job is archived then.",
        WaitingForMachine = "waiting_for_machine": "The machine that ran the job is not known. Report it with the job (field `machine`).",
        WaitingForLog = "waiting_for_log": "The machine is named in the job's log, which the CI system does not give yet; it is asked again.",
        Settling = "settling": "The last samples are on their way; the job is archived in a moment.",
        SamplesLate = "samples_late": "Prometheus does not have the end of the job yet; it is asked again.",
        NoSamplesYet = "no_samples_yet": "Prometheus has no samples of the machine for this time yet; it is asked again.",
        UpstreamUnreachable = "upstream_unreachable": "The region's Prometheus cannot be reached or does not answer; it is asked again.",
        UpstreamRefused = "upstream_refused": "The region's Prometheus refused the request; it is asked again.",
        UpstreamInvalid = "upstream_invalid": "The region's Prometheus gave an answer that cannot be used; it is asked again.",
        ArchiverFailed = "archiver_failed": "Archiving the job failed for a reason of the archiver's own, which its log names; it is tried again.",
        NeverRan = "never_ran": "The job never ran on a machine.",
        UnknownMachine = "unknown_machine": "Prometheus has no samples of the machine for this time. Check machine_label and machine_value of the runner's registration.",
        PastRetention = "past_retention": "The job is older than what Prometheus keeps.",
        PrometheusGap = "prometheus_gap": "Prometheus recorded nothing at all during the job.",
        NeverRegistered = "never_registered": "Its runner, region or machine was not known before Prometheus forgot the job.",
        Quarantined = "quarantined": "The files that hold the job are damaged or missing. They are in quarantine until somebody restores them.",
        SamplesExpired = "samples_expired": "The samples are older than the archive keeps them; the summary stays.",
        UpstreamFailed = "upstream_failed": "No usable answer of the region's Prometheus could be archived before it forgot the job.",
    }
}

words! {
    /// What the archive knows about the completeness of a profile.
    Verdict {
        Complete = "complete": "Samples cover the whole job.",
        Partial = "partial": "Samples are missing in parts of the job.",
        HostGone = "host_gone": "The machine disappeared before the job ended.",
        ScrapeDown = "scrape_down": "Prometheus could not scrape the machine during parts of the job.",
        PrometheusGap = "prometheus_gap": "Prometheus itself was down during parts of the job.",
        UnknownMachine = "unknown_machine": "Prometheus has no samples of the machine for this time.",
        PastRetention = "past_retention": "The job is older than what Prometheus keeps.",
        TooShort = "too_short": "The job is too short for the scrape interval: fewer than two samples. Usage is given as bounds.",
        AmbiguousMachine = "ambiguous_machine": "Several targets in Prometheus carry this machine's name; one of them was taken.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_equal_their_json() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(*verdict));
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }
}
