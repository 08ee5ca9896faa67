//! librdkafka's log lines and global errors, as events of `tracing`.

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Arc;

/// Writes one line of librdkafka.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // That a user's property for readers means nothing to a writer, or the other way round, is as intended.
        _ if facility == "CONFWARN" && message.contains("will be ignored by this") => {
            tracing::debug!(target: "librdkafka", facility, "{message}")
        }
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}")
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Writes a global error (a lost connection, an end of partition): calls that it concerns return it on their own.
pub(crate) fn global_error(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "librdkafka", %error, "{reason}");
}

/// The context of clients that need nothing but their log, and to know why servers turn them away.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logging {
    refusal: Arc<Mutex<Option<String>>>,
}

impl Logging {
    /// Why a server did not let the client in: a login or a certificate that is not good, which waiting does not change. The
    /// calls of librdkafka only say that they had no answer.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refusal.lock().clone()
    }
}

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // This librdkafka tells by a log line only.
        if facility == "FAIL" && message.contains("certificate verify failed") {
            *self.refusal.lock() = Some(message.to_owned());
        }
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) {
            *self.refusal.lock() = Some(reason.to_owned());
        }
        global_error(&error, reason);
    }
}

impl ConsumerContext for Logging {}
