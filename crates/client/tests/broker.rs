//! The client against a broker of bd in this process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_broker::{Broker, BrokerConfig, Endpoint, server};
use bd_client::messages::create_topics_request::CreatableTopic;
use bd_client::messages::{
    CreateTopicsRequest, FetchRequest, InitProducerIdRequest, ListGroupsRequest, TopicName,
};
use bd_client::protocol::StrBytes;
use bd_client::{
    Client, ClientConfig, ClientError, Code, FetchOptions, Fetcher, Node, PartitionBatch, Pipeline,
    ProduceOptions, Stamp, stamp,
};
use bd_log::batch::{BatchBuilder, RecordsIter};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

struct Served {
    address: String,
    runtime: tokio::runtime::Runtime,
    _data: TempDir,
}

fn serve() -> Served {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let advertised = Endpoint { host: "127.0.0.1".into(), port };
    let broker = {
        let _inside = runtime.enter();
        Broker::open(BrokerConfig::new(data.path())).unwrap()
    };
    let listening = server::ListenerConfig::plaintext(advertised);
    runtime.spawn(server::serve(broker, listener, listening, std::future::pending()));
    Served { address: format!("127.0.0.1:{port}"), runtime, _data: data }
}

impl Served {
    fn client(&self) -> Client {
        Client::connect(ClientConfig::new(&self.address)).unwrap()
    }
}

fn create(client: &mut Client, topic: &str, partitions: i32) -> Result<(), ClientError> {
    let new = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.into())))
        .with_num_partitions(partitions)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(10_000);
    let response = client.request(Node::Controller, &request)?;
    let topic = &response.topics[0];
    let name = format!("topic {}", topic.name.as_str());
    ClientError::check("CreateTopics", name, topic.error_code, topic.error_message.as_deref())
}

fn batch(values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append(1000, Some(b"k"), Some(value.as_bytes()), &[]);
    }
    builder.build().to_vec()
}

fn values(client: &mut Client, topic: &str, partition: i32, want: usize) -> Vec<String> {
    let mut fetcher =
        Fetcher::new(FetchOptions { max_wait: Duration::from_millis(50), ..Default::default() });
    fetcher.seek(topic, partition, 0);
    let mut found = Vec::new();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while found.len() < want {
        assert!(std::time::Instant::now() < until, "only {found:?}");
        for fetched in fetcher.fetch(client).unwrap() {
            fetcher.advance(&fetched);
            for part in bd_log::batch::Batches::new(&fetched.batches) {
                let bytes = fetched.batches.slice(part.unwrap().0);
                for record in RecordsIter::new(&bytes).unwrap() {
                    let value = record.unwrap().value.unwrap();
                    found.push(String::from_utf8(bytes[value].to_vec()).unwrap());
                }
            }
        }
    }
    found
}

#[test]
fn what_a_pipeline_writes_is_fetched_in_its_order() {
    let served = serve();
    let mut client = served.client();
    create(&mut client, "t", 2).unwrap();
    let mut pipeline = Pipeline::new(client.open(Node::Leader("t", 0)).unwrap(), 3);
    let options = ProduceOptions::default();
    let mut offsets = Vec::new();
    for i in 0..10 {
        let (one, two) = (batch(&[&format!("{i}a"), &format!("{i}b")]), batch(&[&format!("{i}c")]));
        let parts =
            [PartitionBatch { partition: 0, batches: &one }, PartitionBatch { partition: 1, batches: &two }];
        offsets.extend(pipeline.send("t", &parts, &options).unwrap());
        assert!(pipeline.waiting() <= 3);
    }
    while let Some(answer) = pipeline.receive().unwrap() {
        offsets.push(answer);
    }
    let bases: Vec<_> = offsets.iter().map(|a| (a[0].base_offset, a[1].base_offset)).collect();
    assert_eq!(bases, (0..10).map(|i| (i * 2, i)).collect::<Vec<_>>());
    let first: Vec<String> = (0..10).flat_map(|i| [format!("{i}a"), format!("{i}b")]).collect();
    assert_eq!(values(&mut client, "t", 0, 20), first);
    assert_eq!(values(&mut client, "t", 1, 10), (0..10).map(|i| format!("{i}c")).collect::<Vec<_>>());
}

#[test]
fn a_stamped_batch_is_taken_once_however_often_it_is_sent() {
    let served = serve();
    let mut client = served.client();
    create(&mut client, "t", 1).unwrap();
    let request =
        InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1000);
    let id = client.request(Node::Any, &request).unwrap();
    let mut pipeline = Pipeline::new(client.open(Node::Leader("t", 0)).unwrap(), 1);
    let mut bytes = batch(&["a", "b"]);
    for (sequence, offset) in [(0, 0), (2, 2), (2, 2)] {
        let producer = Some((id.producer_id.0, id.producer_epoch, sequence));
        assert!(stamp(&mut bytes, &Stamp { producer, base_timestamp: Some(5000) }));
        let part = PartitionBatch { partition: 0, batches: &bytes };
        pipeline.send("t", &[part], &ProduceOptions::default()).unwrap();
        assert_eq!(pipeline.receive().unwrap().unwrap()[0].base_offset, offset);
    }
    assert_eq!(values(&mut client, "t", 0, 4), ["a", "b", "a", "b"]);
    // A gap in the sequence is named.
    stamp(
        &mut bytes,
        &Stamp { producer: Some((id.producer_id.0, id.producer_epoch, 9)), base_timestamp: None },
    );
    pipeline
        .send("t", &[PartitionBatch { partition: 0, batches: &bytes }], &ProduceOptions::default())
        .unwrap();
    let error = pipeline.receive().unwrap_err();
    assert_eq!(error.code(), Some(Code(45)), "{error}");
    assert!(error.to_string().starts_with("Produce t-0: OUT_OF_ORDER_SEQUENCE_NUMBER (45)"), "{error}");
}

#[test]
fn errors_name_request_topic_partition_and_offset() {
    let served = serve();
    let mut client = served.client();
    create(&mut client, "t", 1).unwrap();
    let said = create(&mut client, "t", 1).unwrap_err().to_string();
    assert!(said.starts_with("CreateTopics topic t: TOPIC_ALREADY_EXISTS (36)"), "{said}");
    let said = client.topic("nowhere").unwrap_err().to_string();
    assert_eq!(said, "Metadata topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3)");
    let said = client.leader("t", 7).unwrap_err().to_string();
    assert_eq!(said, "t-7: there is no such partition; the topic has 1");
    let mut fetcher = Fetcher::new(FetchOptions::default());
    fetcher.seek("t", 0, 99);
    let said = fetcher.fetch(&mut client).unwrap_err().to_string();
    assert!(said.starts_with("Fetch t-0 at offset 99: OFFSET_OUT_OF_RANGE (1)"), "{said}");
    let said = client.request_in(Node::Any, &FetchRequest::default(), 900..=901).unwrap_err().to_string();
    assert!(said.contains(&format!("{} does not answer Fetch", served.address)), "{said}");
    // The connection is still good.
    assert_eq!(client.topics().unwrap().len(), 1);
    assert!(client.request(Node::Group("g"), &ListGroupsRequest::default()).unwrap().groups.is_empty());
}

#[test]
fn a_client_finds_the_server_that_answers_and_says_why_none_does() {
    let served = serve();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = format!("{free},{}", served.address);
    assert!(Client::connect(ClientConfig::new(both)).is_ok());
    let none = Client::connect(ClientConfig::new(free.to_string())).err().unwrap().to_string();
    assert!(none.contains(&format!("cannot connect to {free}: Connection refused")), "{none}");
    let name = Client::connect(ClientConfig::new("127.0.0.1")).err().unwrap().to_string();
    assert!(name.contains("expected host:port"), "{name}");
}

#[test]
fn a_broker_that_closed_an_idle_connection_is_connected_to_again() {
    let served = serve();
    let (proxy, cut) = plain_proxy(&served);
    // The advertised address is the broker's; only the bootstrap connection goes through the proxy.
    let mut client = Client::connect(ClientConfig::new(proxy.to_string())).unwrap();
    create(&mut client, "t", 1).unwrap();
    cut.send(()).unwrap();
    // Longer than a connection in use is trusted.
    let until = std::time::Instant::now() + Duration::from_millis(1100);
    while std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.topics().unwrap().len(), 1);
}

/// Passes bytes on; all connections of that time are cut by the sender.
fn plain_proxy(served: &Served) -> (SocketAddr, tokio::sync::broadcast::Sender<()>) {
    let listener = served.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (proxy, target) = (listener.local_addr().unwrap(), served.address.clone());
    let (cut, _) = tokio::sync::broadcast::channel::<()>(1);
    let signal = cut.clone();
    served.runtime.spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let (target, mut cut) = (target.clone(), signal.subscribe());
            tokio::spawn(async move {
                let mut to = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                    _ = cut.recv() => {}
                }
            });
        }
    });
    (proxy, cut)
}

/// TLS in front of the broker: all of its connections come in through one listener, since it advertises the proxy.
fn tls_proxy(served: &Served, host: &str) -> (SocketAddr, TempDir) {
    let key = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), key.cert.pem()).unwrap();
    let certificate = key.cert.der().clone();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = served.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (proxy, target) = (listener.local_addr().unwrap(), served.address.clone());
    served.runtime.spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                let Ok(mut from) = acceptor.accept(from).await else { return };
                let mut to = TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    (proxy, folder)
}

#[test]
fn megabytes_go_both_ways_through_tls_and_names_are_checked() {
    let served = serve();
    create(&mut served.client(), "t", 1).unwrap();
    let (proxy, folder) = tls_proxy(&served, "localhost");
    let config = |bootstrap: String| {
        let ca = folder.path().join("ca.pem");
        let config = ClientConfig::new(bootstrap).set("security.protocol", "SSL").unwrap();
        config.set("ssl.ca.location", ca.to_str().unwrap()).unwrap()
    };
    let port = proxy.port();
    // Broker addresses in the metadata are without TLS here, so only what goes through the bootstrap connection is asked.
    let mut client = Client::connect(config(format!("localhost:{port}"))).unwrap();
    let mut pipeline = Pipeline::new(client.open(Node::Any).unwrap(), 4);
    let value = "x".repeat(700_000);
    let bytes = batch(&[&value]);
    for _ in 0..4 {
        let part = PartitionBatch { partition: 0, batches: &bytes };
        pipeline.send("t", &[part], &ProduceOptions::default()).unwrap();
    }
    while pipeline.receive().unwrap().is_some() {}
    let (mut connection, _) = pipeline.into_connection();
    let mut plain = served.client();
    let mut fetcher = Fetcher::new(FetchOptions { partition_max_bytes: 8 << 20, ..Default::default() });
    fetcher.seek("t", 0, 0);
    let expected = &fetcher.fetch(&mut plain).unwrap()[0].batches;
    let request = FetchRequest::default()
        .with_max_wait_ms(100)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![
            bd_client::messages::fetch_request::FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_static_str("t")))
                .with_partitions(vec![
                    bd_client::messages::fetch_request::FetchPartition::default()
                        .with_current_leader_epoch(-1)
                        .with_partition_max_bytes(8 << 20),
                ]),
        ]);
    let response = connection.request_in(&request, 4..=12).unwrap();
    let got = response.responses[0].partitions[0].records.clone().unwrap();
    assert!(got.len() > 2_800_000 && got == *expected, "{} of {} bytes", got.len(), expected.len());

    let error = Client::connect(config(format!("127.0.0.1:{port}"))).err().unwrap().to_string();
    assert!(error.contains("certificate"), "{error}");
    let any =
        config(format!("127.0.0.1:{port}")).set("ssl.endpoint.identification.algorithm", "none").unwrap();
    assert!(Client::connect(any).is_ok());
    let stranger = tls_proxy(&served, "localhost").0.port();
    let error = Client::connect(config(format!("localhost:{stranger}"))).err().unwrap().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}
