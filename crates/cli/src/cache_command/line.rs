//! Lines: one thing that is kept, in a list.

use std::time::{Duration, SystemTime};

use cache::{Domain, Entry, Inventory};
use report::text;
use serde_json::{Value, json};

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

pub(super) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// One line of a list.
pub(super) struct Line {
    place: String,
    pub(super) kind: &'static str,
    key: String,
    size: u64,
    created: Option<String>,
    used: Option<i64>,
    /// When builds stop to use it, if they do.
    expires: Option<i64>,
    pub(super) what: String,
}

impl Line {
    pub(super) fn of_entry(place: &str, entry: &Entry, ttl: Option<Duration>) -> Self {
        let has_end = matches!(entry.kind, Domain::Definition | Domain::Content | Domain::Mount);
        let expires = ttl.filter(|_| has_end).zip(entry.used);
        Line {
            place: place.to_owned(),
            kind: kind(entry.kind),
            key: entry.key().to_owned(),
            size: entry.size,
            created: entry.created.clone(),
            used: entry.used,
            expires: expires.map(|(ttl, used)| used.saturating_add(seconds(ttl))),
            what: match &entry.platform {
                Some(platform) => format!("{} ({platform})", entry.what),
                None => entry.what.clone(),
            },
        }
    }

    pub(super) fn of_item(place: &str, item: &Inventory) -> Self {
        Line {
            place: place.to_owned(),
            kind: item.kind.name(),
            key: item.key.clone(),
            size: item.size,
            created: None,
            used: Some(item.used),
            expires: None,
            what: item.what.clone(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "place": self.place, "kind": self.kind, "key": self.key, "size": self.size,
            "created": self.created, "used": self.used.map(builder::rfc3339),
            "expires": self.expires.map(builder::rfc3339), "what": self.what,
        })
    }

    pub(super) fn text(&self, now: i64) -> String {
        let used = self.used.map_or_else(|| "-".to_owned(), |used| format!("{} ago", span(now - used)));
        let expires = match self.expires {
            Some(expires) if expires <= now => "expired".to_owned(),
            Some(expires) => format!("in {}", span(expires - now)),
            None => "-".to_owned(),
        };
        let key = self.key.get(..12).unwrap_or(&self.key);
        format!(
            "{:<8} {key:<12} {:>9} {used:>10} {expires:>10}  {}",
            self.kind,
            text::bytes(self.size),
            self.what
        )
        .trim_end()
        .to_owned()
    }
}

/// What people call what has a key.
fn kind(domain: Domain) -> &'static str {
    match domain {
        Domain::Definition | Domain::Content => "step",
        Domain::Indexes => "indexes",
        Domain::Build => "build",
        Domain::Mount => "mount",
        Domain::Root | Domain::Step | Domain::Layer => "other",
    }
}

/// `3d`, `5h`, `20m`, `7s`.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 172_800.. => format!("{}d", seconds / 86_400),
        seconds @ 7_200.. => format!("{}h", seconds / 3_600),
        seconds @ 120.. => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, text) in [
            (-1, "0s"),
            (7, "7s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (172_800, "2d"),
            (1_000_000, "11d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_line() {
        let line = Line {
            place: "r.example/c".to_owned(),
            kind: "step",
            key: "0123456789abcdef".to_owned(),
            size: 1_500_000,
            created: None,
            used: Some(1_000),
            expires: Some(1_060),
            what: "RUN make".to_owned(),
        };
        assert_eq!(line.text(1_010), "step     0123456789ab    1.5 MB    10s ago     in 50s  RUN make");
        assert_eq!(line.text(1_060), "step     0123456789ab    1.5 MB    60s ago    expired  RUN make");
        assert_eq!(line.json()["used"], "1970-01-01T00:16:40Z");
    }
}
