//! The Kafka protocol by hand: requests of one's own making over a socket.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use std::io::{Read, Write};
use std::net::TcpStream;

pub struct Raw {
    pub socket: TcpStream,
    sent: i32,
    received: i32,
}

impl Raw {
    pub fn connect(address: &str) -> Raw {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Raw { socket, sent: 0, received: 0 }
    }

    /// The frame of a request with its length.
    pub fn frame<R: Request>(&mut self, version: i16, request: &R) -> BytesMut {
        self.sent += 1;
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.sent)
            .with_client_id(Some(StrBytes::from_static_str("raw")))
            .encode(&mut frame, R::header_version(version))
            .unwrap();
        request.encode(&mut frame, version).unwrap();
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame
    }

    pub fn send<R: Request>(&mut self, version: i16, request: &R) {
        let frame = self.frame(version, request);
        self.socket.write_all(&frame).unwrap();
    }

    /// The next answer, which must be that to the next request.
    pub fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        use kafka_protocol::protocol::HeaderVersion;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).unwrap();
        let mut body = vec![0; i32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut body).unwrap();
        let mut body = Bytes::from(body);
        let header = ResponseHeader::decode(&mut body, R::Response::header_version(version)).unwrap();
        self.received += 1;
        assert_eq!(header.correlation_id, self.received);
        let response = R::Response::decode(&mut body, version).unwrap();
        assert!(!body.has_remaining(), "{} bytes are left of the answer", body.len());
        response
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    /// Whether the other side closes the connection without a word.
    pub fn is_closed(&mut self) -> bool {
        match self.socket.read(&mut [0; 1]) {
            Ok(n) => n == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// A batch with one record of `size` bytes.
pub fn batch(size: usize) -> Bytes {
    let mut batch = bd_log::batch::BatchBuilder::new();
    batch.append(1_000, None, Some(&vec![b'x'; size]), &[]);
    batch.build().freeze()
}

/// A request to append `records` to a partition.
pub fn produce(topic: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
}
