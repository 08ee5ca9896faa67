//! The configuration keys of the HTTP source.

use bd_connect::sdk::{ConfigDef, ConfigKey, ConfigType};

/// The keys, with their defaults.
pub(super) fn config_def() -> ConfigDef {
    let mut keys = request();
    keys.extend(response());
    keys.extend(pace());
    keys.extend(client());
    ConfigDef { keys, prefixes: Vec::new() }
}

fn request() -> Vec<ConfigKey> {
    use ConfigType::{List, Password, String};
    let optional = ConfigKey::optional;
    vec![
        ConfigKey::required(
            "http.request.url",
            String,
            "The URL; ${offset.x} and ${entity.x} are filled in.",
        ),
        optional("http.request.method", String, "GET", "The method.").one_of(&["GET", "POST", "PUT"]),
        optional(
            "http.request.headers",
            String,
            "",
            "Headers, as Name: Value, Name2: Value2; names are filled in.",
        ),
        optional(
            "http.request.params",
            String,
            "",
            "Query parameters, as name=value & name2=value2; names are filled in, values are encoded.",
        ),
        optional(
            "http.request.secret.params",
            Password,
            "",
            "Further query parameters that are never shown, such as appid=KEY. (A key of bd's.)",
        ),
        optional("http.request.body", String, "", "The body of a POST or PUT; names are filled in."),
        optional(
            "http.request.entities",
            List,
            "",
            "Poll once for each of these in turn, each with an offset of its own: values and ranges, as 17,20..29; of several \
             fields, as 53.5:10.0,48.1:11.6. (A key of bd's.)",
        ),
        optional(
            "http.request.entity.fields",
            List,
            "id",
            "The names of an entity's fields, as in ${entity.id}; or lat,lon. (A key of bd's.)",
        ),
        optional(
            "http.offset.initial",
            String,
            "",
            "The first offset, as property1=value1, property2=value2.",
        ),
    ]
}

fn response() -> Vec<ConfigKey> {
    use ConfigType::{Int, List, String};
    let optional = ConfigKey::optional;
    vec![
        ConfigKey::required("kafka.topic", String, "The topic to write to."),
        optional(
            "http.response.list.pointer",
            String,
            "/",
            "JSON pointer to the list of records in the response; an object there is one record.",
        ),
        optional(
            "http.response.record.pointer",
            String,
            "/",
            "JSON pointer to what becomes the value in each member of the list.",
        ),
        optional(
            "http.response.record.offset.pointer",
            String,
            "",
            "What of each record goes into the offset, as name=/pointer, name2=/pointer2. key and timestamp are the record's key \
             and timestamp, too; with timestamp, records before the offset are left out.",
        ),
        optional(
            "http.response.offset.pointer",
            String,
            "",
            "What of the response goes into the offset, as cursor=/next. (A key of bd's.)",
        ),
        optional(
            "http.response.record.key.pointer",
            String,
            "",
            "JSON pointer to the record's key in each member of the list. (A key of bd's.)",
        ),
        optional(
            "http.response.record.timestamp.pointer",
            String,
            "",
            "JSON pointer to the record's timestamp in each member of the list: a number or ISO 8601. (A key of bd's.)",
        ),
        optional(
            "http.response.record.timestamp.unit",
            String,
            "millis",
            "The unit of timestamps that are numbers. (A key of bd's.)",
        )
        .one_of(&["millis", "seconds"]),
        optional(
            "http.response.record.changed.pointer",
            String,
            "",
            "Write a record only if what this JSON pointer finds in it differs from the last one's. (A key of bd's.)",
        ),
        optional(
            "http.response.record.fields",
            List,
            "",
            "The fields to keep of each value, as id,coord.lon,coord.lat; all by default. (A key of bd's.)",
        ),
        optional(
            "http.response.policy.codes.process",
            String,
            "200..299",
            "The status codes with a body to read.",
        ),
        optional(
            "http.response.policy.codes.skip",
            String,
            "300..399",
            "The status codes of answers to skip.",
        ),
        optional(
            "http.response.max.bytes",
            Int,
            "16777216",
            "Longer responses are bad input; their start goes to the dead-letter topic. (A key of bd's.)",
        ),
    ]
}

fn pace() -> Vec<ConfigKey> {
    use ConfigType::Long;
    let optional = ConfigKey::optional;
    vec![
        optional(
            "http.timer.interval.millis",
            Long,
            "60000",
            "The time between two requests (of an entity) when the last brought nothing new.",
        ),
        optional(
            "http.timer.catchup.interval.millis",
            Long,
            "30000",
            "The time between two requests when the last brought records; 0 reads on at once.",
        ),
        optional(
            "http.rate.limit.per.minute",
            Long,
            "0",
            "At most so many requests a minute, over all entities; 0 sets no limit. (A key of bd's.)",
        ),
    ]
}

fn client() -> Vec<ConfigKey> {
    use ConfigType::{Int, Long, Password, String};
    let optional = ConfigKey::optional;
    vec![
        optional("http.client.connection.timeout.millis", Long, "2000", "How long to wait for a connection."),
        optional(
            "http.client.read.timeout.millis",
            Long,
            "2000",
            "How long a response may take, from the connection to its last byte.",
        ),
        optional("http.client.connection.ttl.millis", Long, "300000", "How long an idle connection is kept."),
        optional("http.client.proxy.host", String, "", "The host of a proxy."),
        optional("http.client.proxy.port", Int, "3128", "The port of the proxy."),
        optional("http.client.proxy.username", String, "", "The username at the proxy."),
        optional("http.client.proxy.password", Password, "", "The password at the proxy."),
        optional("http.auth.type", String, "None", "How to authenticate.")
            .one_of(&["None", "Basic", "Bearer"]),
        optional("http.auth.user", String, "", "The user of Basic."),
        optional("http.auth.password", Password, "", "The password of Basic, the token of Bearer."),
    ]
}
