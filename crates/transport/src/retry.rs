//! Trying again: how often, how long after, and for how long altogether.

use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// When a request that failed for a passing reason is sent again. Waits double from try to try and are shortened by
/// chance, so that many builds that failed together do not come back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first one.
    pub retries: u32,
    /// The longest wait before the second try; doubled for each further one.
    pub first_delay: Duration,
    /// The longest wait before any try, except where the server asks for more by `Retry-After`.
    pub max_delay: Duration,
    /// No try begins later than this after the first one.
    pub max_elapsed: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            retries: 5,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(300),
        }
    }
}

/// The tries of one request.
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    tries: u32,
    since: Instant,
}

impl Backoff {
    /// The first try is about to be made.
    #[must_use]
    pub fn new(policy: &RetryPolicy) -> Self {
        Backoff { policy: policy.clone(), tries: 0, since: Instant::now() }
    }

    /// How long to wait before the next try; `None` if there is none.
    pub fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.tries >= self.policy.retries {
            return None;
        }
        let doubled = self.policy.first_delay.saturating_mul(1 << self.tries.min(16));
        let chance = 0.5 + fastrand::f64() / 2.0;
        let delay = doubled.min(self.policy.max_delay).mul_f64(chance);
        // What the server asks for is a minimum; a little more keeps clients apart.
        let delay = retry_after.map_or(delay, |asked| asked + delay.min(asked / 10));
        self.tries += 1;
        (self.since.elapsed() + delay <= self.policy.max_elapsed).then_some(delay)
    }

    /// Progress was made: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.tries = 0;
        self.since = Instant::now();
    }
}

/// `Retry-After`, as seconds or as a date ([RFC 9110, section 10.2.3]).
///
/// [RFC 9110, section 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// The statuses that a later try can turn into a success.
#[must_use]
pub fn is_retriable(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let policy = RetryPolicy {
            retries: 4,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(3),
            max_elapsed: Duration::from_secs(60),
        };
        let mut backoff = Backoff::new(&policy);
        for longest in [1.0, 2.0, 3.0, 3.0] {
            let delay = backoff.next(None).unwrap().as_secs_f64();
            assert!((longest / 2.0..=longest).contains(&delay), "{delay} of {longest}");
        }
        assert_eq!(backoff.next(None), None);
        backoff.reset();
        let asked = backoff.next(Some(Duration::from_secs(20))).unwrap();
        assert!((20.0..=22.0).contains(&asked.as_secs_f64()), "{asked:?}");
        assert_eq!(backoff.next(Some(Duration::from_secs(61))), None);
    }

    #[test]
    fn retry_after_header() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Wed, 21 Oct 2026 07:28:09 GMT", Some(9)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
