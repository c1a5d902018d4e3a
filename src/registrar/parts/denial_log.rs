//! Whose access is refused often, from many addresses.

use crate::vocabulary::LearnerId;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Refusals of one learner that are too many, when they come from too many addresses.
const REFUSALS: usize = 20;
/// Different addresses that are too many. Of IPv6 the first 64 bits count: what is behind them
/// is one connection, which may change its address by the hour.
const ADDRESSES: usize = 5;
/// Both within this time, in seconds; nor is one learner told of again sooner.
const WITHIN: i64 = 600;
/// Learners that are watched at once: the one refused longest ago is forgotten for a new one. It
/// takes a third of a megabyte.
const LEARNERS: usize = 1024;

/// Who was refused lately. It holds hashes under a key of this process, and no names.
#[derive(Default)]
pub(in crate::registrar) struct DenialLog {
    key: RandomState,
    learners: Mutex<HashMap<u64, Denials>>,
}

/// What is known of one learner; times are seconds.
struct Denials {
    /// The latest refusals, in a ring.
    times: [i64; REFUSALS],
    next: usize,
    /// The addresses that came last, each with its latest time.
    addresses: [(u64, i64); ADDRESSES],
    told_at: i64,
}

/// Long before everything.
const NEVER: i64 = i64::MIN / 2;

impl DenialLog {
    /// Notes a refusal; `true` when this learner is refused too often from too many addresses, and
    /// that was not told lately.
    pub(in crate::registrar) fn note(
        &self,
        learner: &LearnerId,
        ip: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> bool {
        let now = now.timestamp();
        let name = self.key.hash_one(learner);
        let address = ip.map(|ip| self.key.hash_one(network(ip)));
        let mut learners = self.learners.lock().unwrap_or_else(PoisonError::into_inner);
        if learners.len() >= LEARNERS && !learners.contains_key(&name) {
            let oldest = learners.iter().min_by_key(|(_, denials)| denials.latest());
            if let Some(oldest) = oldest.map(|(name, _)| *name) {
                learners.remove(&oldest);
            }
        }
        let denials = learners.entry(name).or_insert(Denials {
            times: [NEVER; REFUSALS],
            next: 0,
            addresses: [(0, NEVER); ADDRESSES],
            told_at: NEVER,
        });
        denials.note(address, now)
    }
}

impl Denials {
    fn note(&mut self, address: Option<u64>, now: i64) -> bool {
        self.times[self.next] = now;
        self.next = (self.next + 1) % REFUSALS;
        if let Some(address) = address {
            let known = self.addresses.iter().position(|(it, _)| *it == address);
            let oldest = || (0..ADDRESSES).min_by_key(|at| self.addresses[*at].1);
            if let Some(place) = known.or_else(oldest) {
                self.addresses[place] = (address, now);
            }
        }
        let recent = |time: &i64| now - time < WITHIN;
        let often = self.times.iter().all(recent);
        let from_many = self.addresses.iter().all(|(_, time)| recent(time));
        let told = recent(&self.told_at);
        if often && from_many && !told {
            self.told_at = now;
            return true;
        }
        false
    }

    fn latest(&self) -> i64 {
        self.times[(self.next + REFUSALS - 1) % REFUSALS]
    }
}

/// What tells one connection from another.
fn network(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn learner(number: usize) -> LearnerId {
        LearnerId::new(format!("learner-{number}")).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn it_watches_so_many_learners_and_no_more() {
        let log = DenialLog::default();
        let address = |number: usize| Some(IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()]));
        for number in 0..20 * LEARNERS {
            assert!(!log.note(&learner(number), address(number % 200), at(0)));
            assert!(log.learners.lock().unwrap().len() <= LEARNERS);
        }
        // Whoever goes on is not forgotten for them.
        let told = (0..REFUSALS).filter(|round| {
            for number in 0..LEARNERS / 2 {
                log.note(&learner(100_000 + round * LEARNERS + number), None, at(9));
            }
            log.note(&learner(7), address(round % 5), at(10))
        });
        assert_eq!(told.count(), 1);
        assert_eq!(log.learners.lock().unwrap().len(), LEARNERS);
        assert!(size_of::<Denials>() * LEARNERS < 400_000);
    }

    #[test]
    fn addresses_of_one_connection_are_one() {
        let same = [
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ];
        for (one, other) in same {
            assert_eq!(
                network(one.parse().unwrap()),
                network(other.parse().unwrap())
            );
        }
        let other = ("2001:db8:1:2::1", "2001:db8:1:3::1");
        assert_ne!(
            network(other.0.parse().unwrap()),
            network(other.1.parse().unwrap())
        );
    }
}
