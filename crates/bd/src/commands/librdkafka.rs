//! The same settings for librdkafka, which `produce` (retries, idempotence) and `consume --group` (membership) go through.

use crate::cli::ClusterArgs;
use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

pub(super) fn config(args: &ClusterArgs, client_id: &str) -> Result<ClientConfig> {
    let ours = super::client_config(args, client_id)?;
    let (tls, sasl) = (ours.tls()?, ours.sasl()?);
    let mut config = ClientConfig::new();
    config
        .set_log_level(RDKafkaLogLevel::Critical)
        .set("bootstrap.servers", &ours.bootstrap)
        .set("client.id", &ours.client_id)
        .set("socket.connection.setup.timeout.ms", ours.connect_timeout.as_millis().to_string())
        .set("allow.auto.create.topics", "false");
    let protocol = match (&tls, &sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = tls {
        if let Some(ca) = tls.ca {
            config.set("ssl.ca.location", ca.to_string_lossy());
        }
        let algorithm = if tls.verify_host { "https" } else { "none" };
        config.set("ssl.endpoint.identification.algorithm", algorithm);
    }
    if let Some(sasl) = sasl {
        config
            .set("sasl.mechanism", sasl.mechanism.name())
            .set("sasl.username", sasl.username)
            .set("sasl.password", sasl.password);
    }
    Ok(config)
}
