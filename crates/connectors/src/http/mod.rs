//! The HTTP source: polls JSON from a REST API, with the configuration of `castorm/kafka-connect-http`.
//!
//! Two ways of use:
//! * **A feed**: each request goes on from what the last response said. The offset may come out of the response
//!   (`http.response.offset.pointer=cursor=/next`) or its last record (`http.response.record.offset.pointer`), and goes into the
//!   next request (`http.request.params=start=${offset.cursor}`). Records and offset are one transaction: exactly once, if the
//!   server gives the same answer to the same request. With `http.timer.catchup.interval.millis=0` it reads on without a pause
//!   until the list is empty.
//! * **Many entities**: one request for each of `http.request.entities` in turn (`${entity.id}`), each with an offset of its own, at most
//!   `http.rate.limit.per.minute`; with `http.response.record.changed.pointer=/dt` a record only when that changed.
//!
//! The value is the record's JSON object, compact, as bytes (`ByteArrayConverter` or `StringConverter` write it as it is), or the
//! chosen fields of it. The key is text, by pointer.
//!
//! ```text
//! http.request.url=http://localhost:8100/data/2.5/history     http.request.url=https://api.openweathermap.org/data/2.5/weather
//! http.request.params=start=${offset.cursor} & limit=1000      http.request.params=id=${entity.id}
//! http.offset.initial=cursor=0                                http.request.secret.params=appid=KEY
//! http.response.list.pointer=/list                            http.request.entities=2643743,2950159,100..120
//! http.response.offset.pointer=cursor=/next                   http.response.record.changed.pointer=/dt
//! http.response.record.key.pointer=/id                        http.response.record.fields=id,name,coord.lon,coord.lat,visibility,dt
//! http.timer.catchup.interval.millis=0                        http.rate.limit.per.minute=60
//! ```
//!
//! # Faults
//! A server that is away, slow or answers 408, 425, 429 or 5xx is tried again (`Retry-After` is kept to, up to a day). Other 4xx fail the task. A
//! response that is no JSON, lacks the list, is too long or does not move its cursor is bad input: the offset stays, and it is
//! asked for again after `http.timer.interval.millis`. So is a member of the list that is no object, and the rest goes on.
//! Messages name method, URL without its query, and status; values of parameters and headers like `appid` never show.
//!
//! # Offset
//! Of the partition `{"connector": NAME}`, or the entity's fields (`{"id": "17"}`): the properties that the configuration names;
//! `records`, the number of records taken so far, bad ones included; `changed`, what the changed pointer last found.
//!
//! Not supported: Java classes in the real connector's place-holders (`http.timer`, `http.request.factory`, ...) and FreeMarker
//! beyond plain names.

mod client;
mod keys;
mod page;
mod settings;
mod task;
mod template;

use bd_connect::sdk::{
    Config, ConfigDef, ConfigError, Plugin, PluginKind, SourceTask, TaskContext, TaskError,
};
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    vec![Arc::new(HttpSource)]
}

/// `com.github.castorm.kafka.connect.http.HttpSourceConnector`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpSource;

impl Plugin for HttpSource {
    fn class(&self) -> &'static str {
        "com.github.castorm.kafka.connect.http.HttpSourceConnector"
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Source
    }

    fn config_def(&self) -> ConfigDef {
        keys::config_def()
    }

    fn validate(&self, config: &Config) -> Vec<ConfigError> {
        settings::Settings::read(config).err().into_iter().collect()
    }

    fn open_source(&self, context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        Ok(Box::new(task::HttpTask::open(&context)?))
    }
}
