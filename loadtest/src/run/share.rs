//! Which part of a run's arrivals and kiosks one of several processes makes. Pure.

/// One of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which, from 0.
    pub nth: u64,
    /// Of how many.
    pub of: u64,
}

impl Share {
    /// Everything.
    pub const WHOLE: Self = Self { nth: 0, of: 1 };

    /// Whether the arrival of that number is made here.
    pub fn takes(self, number: u64) -> bool {
        number % self.of.max(1) == self.nth
    }

    /// From the first to before the last of so many that belong here.
    pub(super) fn part_of(self, all: u64) -> (u64, u64) {
        let of = self.of.max(1);
        (all * self.nth / of, all * (self.nth + 1) / of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_belongs_to_exactly_one(of in 1u64..9, all in 0u64..500) {
            let shares = || (0..of).map(move |nth| Share { nth, of });
            for number in 0..all {
                prop_assert_eq!(shares().filter(|share| share.takes(number)).count(), 1);
                let has = |share: &Share| (share.part_of(all).0..share.part_of(all).1).contains(&number);
                prop_assert_eq!(shares().filter(has).count(), 1);
            }
        }
    }
}
