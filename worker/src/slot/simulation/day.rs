//! What happens on a simulated day: who comes when, what the backend is like.

use std::time::Duration;

/// Opening and closing a session at the backend.
pub(super) const SHORT_S: f64 = 0.002;

/// A plan in numbers.
#[derive(Debug, Clone)]
pub(super) struct Day {
    pub(super) limit: usize,
    /// What an issue takes in the middle, and how it varies (of a lognormal).
    pub(super) service: f64,
    pub(super) sigma: f64,
    /// Of every route.
    pub(super) timeout: Duration,
    /// Seconds between steps in the middle, and how they vary.
    pub(super) think: (f64, f64),
    /// Whether people open a session first.
    pub(super) sessions: bool,
    pub(super) abandon: f64,
    pub(super) retries: u32,
    /// Seconds after which somebody gives up a step and begins anew.
    pub(super) patience: Option<f64>,
    /// Arrivals per second by second.
    pub(super) rate: fn(u32) -> f64,
    /// Arrivals by city instead.
    pub(super) city_rate: Option<fn(usize, u32) -> f64>,
    /// Parts of the arrivals.
    pub(super) cities: Vec<f64>,
    pub(super) stall: Option<(f64, f64)>,
    pub(super) slow: Option<(f64, f64, f64)>,
    pub(super) seconds: u32,
}

impl Day {
    pub(super) fn of(limit: usize, service: Duration, timeout: Duration) -> Self {
        Self {
            limit,
            service: service.as_secs_f64(),
            sigma: 0.4,
            timeout,
            think: (0.3, 0.0),
            sessions: true,
            abandon: 0.0,
            retries: 0,
            patience: None,
            rate: |_| 1.0,
            city_rate: None,
            cities: vec![1.0],
            stall: None,
            slow: None,
            seconds: 60,
        }
    }

    pub(super) fn with_cities(mut self, parts: &[f64]) -> Self {
        let all: f64 = parts.iter().sum();
        self.cities = parts.iter().map(|part| part / all).collect();
        self
    }

    /// Issues per second that the backend can do.
    pub(super) fn capacity(&self) -> f64 {
        let issue = self.service * (self.sigma * self.sigma / 2.0).exp();
        let around = if self.sessions { (2.0 - self.abandon) / (1.0 - self.abandon) * SHORT_S } else { 0.0 };
        self.limit as f64 / (issue + around)
    }

    pub(super) fn rate_of(&self, city: usize, second: u32) -> f64 {
        match self.city_rate {
            Some(rate) => rate(city, second),
            None => (self.rate)(second) * self.cities[city],
        }
    }
}
