//! Signals: what `STOPSIGNAL` may name.

/// A signal of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub number: u32,
}

/// Why a text is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct SignalError(String);

/// signal(7), x86 and ARM numbers: the ones container engines use.
const NAMES: [(&str, u32); 36] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

impl std::str::FromStr for Signal {
    type Err = SignalError;

    /// Reads a number, or a name with or without `SIG`; case does not count.
    fn from_str(text: &str) -> Result<Self, SignalError> {
        let error = || SignalError(text.to_owned());
        if let Ok(number) = text.parse::<u32>() {
            return if number == 0 { Err(error()) } else { Ok(Signal { number }) };
        }
        let upper = text.to_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = if let Some(offset) = name.strip_prefix("RTMIN+") {
            offset.parse().ok().filter(|offset| (1..=15).contains(offset)).map(|offset: u32| 34 + offset)
        } else if let Some(offset) = name.strip_prefix("RTMAX-") {
            offset.parse().ok().filter(|offset| (1..=14).contains(offset)).map(|offset: u32| 64 - offset)
        } else {
            NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
        };
        number.map(|number| Signal { number }).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("sigwinch", 28),
            ("37", 37),
        ] {
            assert_eq!(text.parse(), Ok(Signal { number }), "{text}");
        }
        for text in ["", "0", "FOO", "SIG", "SIGRTMIN+99", "SIGRTMAX-0", "-9", "RTMIN+"] {
            assert_eq!(text.parse::<Signal>().unwrap_err().to_string(), format!("invalid signal: {text}"));
        }
    }
}
