//! Seeded randomness of the load: the same seed draws the same orders on every machine.

/// `SplitMix64`: eight bytes of state, a few multiplications per number, one stream per seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of item `n` under `seed`; neighbouring items share nothing.
    pub(crate) fn of(seed: u64, n: u64) -> Self {
        let mut dice = Self(seed ^ n.wrapping_mul(0xD1B5_4A32_D192_ED03));
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, by multiplication instead of division.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in (0, 1].
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// Zipf's law over `n` ranks as an alias table: two look-ups per draw, whatever `n` is.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// Per slot: below this share of 2^32 the slot itself, else its alias.
    slots: Vec<(u32, u32)>,
}

impl Zipf {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shares between 0 and 1, ranks below 65,537"
    )]
    pub(crate) fn new(n: usize, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=n).map(|rank| (rank as f64).powf(-exponent)).collect();
        let scale = n as f64 / weights.iter().sum::<f64>();
        let mut share: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let mut slots: Vec<(u32, u32)> = (0..n).map(|i| (u32::MAX, i as u32)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&slot| share[slot] < 1.0);
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            slots[poor] = ((share[poor] * f64::from(u32::MAX)) as u32, rich as u32);
            share[rich] -= 1.0 - share[poor];
            if share[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self { slots }
    }

    /// A rank, 0 being the most popular one.
    #[expect(clippy::cast_possible_truncation, reason = "both halves are cut on purpose")]
    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let slot = dice.below(self.slots.len() as u64) as usize;
        let (own, alias) = self.slots[slot];
        if (dice.next() as u32) <= own { slot } else { alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_follow_the_law() {
        let zipf = Zipf::new(1_000, 0.8);
        let mut dice = Dice::of(7, 0);
        let mut counts = vec![0u32; 1_000];
        for _ in 0..1_000_000 {
            counts[zipf.draw(&mut dice)] += 1;
        }
        let total: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-0.8)).sum();
        for rank in [1u32, 2, 10, 100, 900] {
            let expected = 1e6 * f64::from(rank).powf(-0.8) / total;
            let seen = f64::from(counts[rank as usize - 1]);
            assert!((seen - expected).abs() < 6.0 * expected.sqrt(), "rank {rank}: {seen}");
        }
    }

    #[test]
    fn streams_repeat_and_differ() {
        let first: Vec<u64> = (0..4).map(|n| Dice::of(1, n).next()).collect();
        assert_eq!(first, (0..4).map(|n| Dice::of(1, n).next()).collect::<Vec<_>>());
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]));
        assert_ne!(Dice::of(1, 5).next(), Dice::of(2, 5).next());
    }
}
