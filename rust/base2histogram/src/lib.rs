//! A small stand-in for the crate of this name, which openraft uses for statistics that nobody here reads.
//!
//! The original (0.2.3) computes lookup tables for 16 resolutions at its first use, 26 MB of the 33 MB that an idle
//! broker would add to its process, and much of a start. This one counts by powers of two and needs no table. It offers
//! what openraft `=0.10.0-alpha.37` calls and no more; `[patch.crates-io]` puts it in place.
//!
//! Deliberately absent: sliding windows, other resolutions, interpolation, charts with bars.

use std::fmt;
use std::marker::PhantomData;

/// One bucket per bit length of a `u64`, 0 included.
const BUCKETS: usize = 65;

/// How often values of each power of two occurred. `T` is there for the original's type parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    slot: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: [0; BUCKETS], slot: PhantomData }
    }

    /// Counts `value` once.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts `value` `times` times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        let count = &mut self.counts[(u64::BITS - value.leading_zeros()) as usize];
        *count = count.saturating_add(times);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The power of two at or below the value that `per_mille` of all values do not exceed; 0 without values.
    fn percentile(&self, per_mille: u128) -> u64 {
        let wanted = (u128::from(self.total()) * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen >= wanted
        });
        match bucket {
            None | Some(0) => 0,
            Some(bits) => 1 << (bits - 1),
        }
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(1),
            p1: self.percentile(10),
            p5: self.percentile(50),
            p10: self.percentile(100),
            p50: self.percentile(500),
            p90: self.percentile(900),
            p99: self.percentile(990),
            p99_9: self.percentile(999),
        }
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Histogram<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.percentile_stats(), formatter)
    }
}

/// Percentiles of a histogram, each rounded down to a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it: p99_9 is what 99.9 % of the values do not exceed")]
pub struct PercentileStats {
    /// How many values were counted.
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, p99_9, .. } = self;
        write!(formatter, "n={samples} p50={p50} p90={p90} p99={p99} p99.9={p99_9}")
    }
}

/// Named histograms, printed one a line.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart(Vec<(String, Histogram)>);

impl AsciiChart {
    /// An empty chart.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram));
        self
    }

    /// What is printed; the original knows a shorter form as well.
    pub fn detailed(&self) -> &Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, histogram)| writeln!(formatter, "{name}: {}", histogram.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_powers_of_two_at_or_below() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!((histogram.total(), histogram.percentile_stats().p99), (0, 0));
        histogram.record(0);
        histogram.record_n(100, 98);
        histogram.record(u64::MAX);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p1, stats.p50), (100, 0, 0, 64));
        assert_eq!((stats.p99, stats.p99_9), (64, 1 << 63));
        histogram.record_n(1, u64::MAX);
        assert_eq!(histogram.total(), u64::MAX);
        assert!(AsciiChart::new().add("all", histogram).to_string().starts_with("all: n="));
    }
}
