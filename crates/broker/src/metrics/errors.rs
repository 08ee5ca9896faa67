//! How often which error code was answered.

use crate::wire::error_codes::ErrorCodes;
use kafka_protocol::ResponseError as E;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The lowest code: UNKNOWN_SERVER_ERROR.
const LOWEST: i16 = -1;
/// Room for codes to come; Kafka 4.3 has them up to 133.
const CODES: usize = 152;

/// One API's counts by error code.
#[derive(Debug)]
pub(crate) struct Errors([AtomicU64; CODES]);

impl Default for Errors {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; CODES])
    }
}

impl Errors {
    /// Counts all codes of an answer: neighbours that are equal, as most are, at once.
    pub(crate) fn note(&self, answer: &(impl ErrorCodes + ?Sized)) {
        let (mut last, mut times) = (0, 0);
        answer.each_error(&mut |code| {
            if code != last {
                self.add(last, times);
                (last, times) = (code, 0);
            }
            times += 1;
        });
        self.add(last, times);
    }

    fn add(&self, code: i16, times: u64) {
        let place = |code: i16| usize::try_from(i32::from(code) - i32::from(LOWEST)).ok();
        let counter = place(code).and_then(|place| self.0.get(place));
        // Kafka, too, takes codes that it does not know for this one.
        let counter = counter.or_else(|| self.0.first());
        if let Some(counter) = counter.filter(|_| times > 0) {
            counter.fetch_add(times, Relaxed);
        }
    }

    /// The codes that were answered, each with how often.
    pub(crate) fn snapshot(&self) -> Vec<(i16, u64)> {
        let all = (LOWEST..).zip(&self.0).map(|(code, counter)| (code, counter.load(Relaxed)));
        all.filter(|(_, times)| *times > 0).collect()
    }
}

/// Kafka's name of an error code, such as `NOT_LEADER_OR_FOLLOWER`; `NONE` for 0.
///
/// Source: `org.apache.kafka.common.protocol.Errors`.
pub fn error_name(code: i16) -> String {
    let Some(error) = E::try_from_code(code) else { return "NONE".to_owned() };
    let error = match error {
        E::Unknown(_) => E::UnknownServerError,
        known => known,
    };
    let mut name = String::new();
    for c in format!("{error:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ErrorCodes for [i16] {
        fn each_error(&self, count: &mut dyn FnMut(i16)) {
            self.iter().for_each(|code| count(*code));
        }
    }

    #[test]
    fn each_code_is_counted_and_unknown_ones_as_an_unknown_server_error() {
        let errors = Errors::default();
        errors.note(&[0, 0, 3, 0, -1, 150][..]);
        errors.note(&[3, -2, 151, i16::MIN, i16::MAX][..]);
        errors.note(&[][..]);
        assert_eq!(errors.snapshot(), [(-1, 5), (0, 3), (3, 2), (150, 1)]);
    }

    #[test]
    fn codes_have_kafkas_names() {
        let names = [
            (0, "NONE"),
            (-1, "UNKNOWN_SERVER_ERROR"),
            (6, "NOT_LEADER_OR_FOLLOWER"),
            (17, "INVALID_TOPIC_EXCEPTION"),
            (48, "INVALID_TXN_STATE"),
            (58, "SASL_AUTHENTICATION_FAILED"),
            (133, "SHARE_SESSION_LIMIT_REACHED"),
            (999, "UNKNOWN_SERVER_ERROR"),
        ];
        for (code, name) in names {
            assert_eq!(error_name(code), name);
        }
    }
}
