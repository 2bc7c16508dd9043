//! Buckets of distributions, as Mixer's prometheus adapter described them.

use osier_plugin::serde::Deserialize;

/// Upper bounds, one way or another.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum Buckets {
    /// These.
    Explicit(Vec<f64>),
    /// `count` bounds, `width` apart, the first at `offset`.
    Linear { count: u32, width: f64, offset: f64 },
    /// `count` bounds, each `growth_factor` times the last, the first at `scale`.
    #[serde(rename_all = "camelCase")]
    Exponential {
        count: u32,
        growth_factor: f64,
        scale: f64,
    },
}

/// Most buckets that a distribution may have.
const MOST: u32 = 64;

impl Default for Buckets {
    /// From half a millisecond to ten seconds, for values in seconds.
    fn default() -> Self {
        Self::Explicit(vec![
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ])
    }
}

impl Buckets {
    /// The bounds, which must grow.
    pub(crate) fn bounds(&self) -> Result<Vec<f64>, String> {
        let bounds: Vec<f64> = match self {
            Self::Explicit(bounds) => bounds.clone(),
            Self::Linear {
                count,
                width,
                offset,
            } => (0..(*count).min(MOST + 1))
                .map(|place| offset + width * f64::from(place))
                .collect(),
            Self::Exponential {
                count,
                growth_factor,
                scale,
            } => (0..(*count).min(MOST + 1))
                .map(|place| scale * growth_factor.powf(f64::from(place)))
                .collect(),
        };
        let sound = !bounds.is_empty() && bounds.is_sorted_by(|a, b| a < b);
        if !sound || bounds.len() > MOST as usize {
            return Err(format!(
                "buckets: must give 1 to {MOST} bounds, each larger than the last"
            ));
        }
        Ok(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_or_are_refused() {
        let linear = |count, width| {
            Buckets::Linear {
                count,
                width,
                offset: 1.0,
            }
            .bounds()
        };
        assert_eq!(linear(3, 2.0), Ok(vec![1.0, 3.0, 5.0]));
        let exponential = Buckets::Exponential {
            count: 3,
            growth_factor: 10.0,
            scale: 0.5,
        };
        assert_eq!(exponential.bounds(), Ok(vec![0.5, 5.0, 50.0]));
        assert!(linear(3, 0.0).is_err() && linear(0, 1.0).is_err() && linear(1000, 1.0).is_err());
    }
}
