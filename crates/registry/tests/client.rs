//! The registry as a codec far away sees it: over HTTP, by the client that speaks to any Confluent registry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::Cluster;
use bd_cluster_embedded::EmbeddedCluster;
use bd_registry::{Access, Registry, RegistryConfig, secured};
use bd_schema::{
    AvroReader, Codecs, DataType, Field, NewSchema, RegistryClient, RegistryError, Role, Schema,
    SchemaRegistry, Value,
};
use std::sync::Arc;

fn serve(dir: &std::path::Path) -> (String, tokio::runtime::Runtime) {
    serve_those(dir, Access::default())
}

fn serve_those(dir: &std::path::Path, access: Access) -> (String, tokio::runtime::Runtime) {
    let broker = Broker::open(BrokerConfig::new(dir)).unwrap();
    let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(broker));
    let registry = Arc::new(Registry::open(cluster, &RegistryConfig::default()).unwrap());
    let router = secured(registry, access);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    (url, runtime)
}

#[test]
fn what_one_codec_writes_another_reads_by_the_schema_in_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let (url, _runtime) = serve(dir.path());
    let columns = Schema::new(vec![
        Field::new("ID", DataType::BigInt),
        Field::new("AT", DataType::Timestamp),
        Field::new("PRICE", DataType::Decimal(10, 2)),
        Field::new("PLACE", DataType::Struct([Field::new("lon", DataType::Double)].into())),
    ]);
    let codecs = Codecs::new(Some(Arc::new(RegistryClient::new(&url))));
    let codec = codecs.codec("AVRO", &columns, Role::Value, "my topic/1").unwrap();
    let row = vec![
        Value::BigInt(45),
        Value::Timestamp(1_612_223_747_000),
        Value::Null,
        Value::Struct(vec![Value::Double(1.5)]),
    ];
    let mut bytes = Vec::new();
    codec.encode_row(&row, &mut bytes).unwrap();

    let other = RegistryClient::new(&url);
    let latest = other.latest("my topic/1-value").unwrap().unwrap();
    assert_eq!(bytes[..5], [&[0][..], &latest.id.to_be_bytes()].concat());
    let (shape, read) = AvroReader::new(Arc::new(RegistryClient::new(&url))).decode(&bytes).unwrap();
    assert_eq!((&shape.schema, &read), (&columns, &row));
    assert_eq!(shape.name.as_deref(), Some("io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"));
}

#[test]
fn what_the_registry_says_no_to_is_told_as_its_own_codes() {
    let dir = tempfile::tempdir().unwrap();
    let (url, _runtime) = serve(dir.path());
    let client = RegistryClient::new(&url);
    assert_eq!(client.schema(99), Err(RegistryError::UnknownId(99)));
    assert_eq!(client.latest("nobody"), Ok(None));
    let code = |answer: Result<u32, RegistryError>| match answer {
        Err(RegistryError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(client.register("s", &NewSchema::avro("{\"type\":\"no such\"}"))), 42201);
    let id = client.register("s", &NewSchema::avro("\"int\"")).unwrap();
    assert_eq!(client.register("s", &NewSchema::avro("\"int\"")), Ok(id));
    assert_eq!(code(client.register("s", &NewSchema::avro("\"string\""))), 40901);
}

#[test]
fn a_registry_with_users_or_tokens_answers_only_them() {
    let dir = tempfile::tempdir().unwrap();
    let access =
        Access::new([("ann".to_owned(), "secret".to_owned())], [("ci".to_owned(), "t0ken".to_owned())]);
    let (url, _runtime) = serve_those(dir.path(), access);
    let schema = NewSchema::avro("\"int\"");
    let refused = RegistryClient::new(&url).register("s", &schema);
    assert!(
        matches!(&refused, Err(RegistryError::Unavailable { reason, .. }) if reason.contains("401")),
        "{refused:?}"
    );
    for client in [
        RegistryClient::new(&url).with_basic_auth("ann:secret"),
        RegistryClient::new(&url.replace("http://", "http://ann:secret@")),
        RegistryClient::new(&url).with_bearer_token("t0ken"),
    ] {
        assert_eq!(client.register("s", &schema), Ok(1));
    }
    assert!(RegistryClient::new(&url).with_bearer_token("other").latest("s").is_err());
}
