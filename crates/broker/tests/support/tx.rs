//! A transactional producer of the second protocol, request by request.

use super::TestBroker;
use super::raw::Raw;
use bd_broker::ResponseError as E;
use bd_log::batch::BatchBuilder;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;

pub fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn name(topic: &str) -> TopicName {
    TopicName(s(topic))
}

pub fn code(number: i16) -> Option<E> {
    E::try_from_code(number)
}

/// A transactional producer that sends what it is told to.
pub struct Tx<'a> {
    pub server: &'a TestBroker,
    pub raw: Raw,
    pub id: &'static str,
    pub producer_id: i64,
    pub epoch: i16,
    pub sequences: HashMap<i32, i32>,
}

impl<'a> Tx<'a> {
    pub fn start(server: &'a TestBroker, id: &'static str) -> Tx<'a> {
        let raw = Raw::connect(&server.address);
        let mut tx = Tx { server, raw, id, producer_id: -1, epoch: -1, sequences: HashMap::new() };
        assert_eq!(tx.init(-1, -1), None);
        tx
    }

    pub fn init(&mut self, producer_id: i64, epoch: i16) -> Option<E> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(s(self.id))))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch);
        let response = self.raw.call(5, &request);
        if response.error_code == 0 {
            (self.producer_id, self.epoch) = (response.producer_id.into(), response.producer_epoch);
            self.sequences.clear();
        }
        code(response.error_code)
    }

    /// One record to the partition of topic `t`.
    pub fn produce(&mut self, version: i16, partition: i32, value: &str) -> PartitionProduceResponse {
        let sequence = self.sequences.get(&partition).copied().unwrap_or(0);
        let answer = self.produce_at(version, partition, sequence, value);
        if answer.error_code == 0 {
            self.sequences.insert(partition, sequence + 1);
        }
        answer
    }

    pub fn produce_at(
        &mut self,
        version: i16,
        partition: i32,
        sequence: i32,
        value: &str,
    ) -> PartitionProduceResponse {
        let mut batch =
            BatchBuilder::new().producer(self.producer_id, self.epoch, sequence).transactional(true);
        batch.append(0, None, Some(value.as_bytes()), &[]);
        let data =
            PartitionProduceData::default().with_index(partition).with_records(Some(batch.build().freeze()));
        let mut topic = TopicProduceData::default().with_partition_data(vec![data]);
        if version >= 13 {
            topic = topic.with_topic_id(self.server.broker.topics().get("t").unwrap().id);
        } else {
            topic = topic.with_name(name("t"));
        }
        let request = ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(s(self.id))))
            .with_acks(-1)
            .with_topic_data(vec![topic]);
        let mut response = self.raw.call(version, &request);
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub fn produces(&mut self, partition: i32, value: &str) -> Option<E> {
        code(self.produce(13, partition, value).error_code)
    }

    pub fn end(&mut self, version: i16, commit: bool) -> EndTxnResponse {
        let (id, epoch) = (self.producer_id, self.epoch);
        self.end_as(version, commit, id, epoch)
    }

    pub fn end_as(&mut self, version: i16, commit: bool, producer_id: i64, epoch: i16) -> EndTxnResponse {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(s(self.id)))
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch)
            .with_committed(commit);
        self.raw.call(version, &request)
    }

    /// Ends and goes on under what was answered, as a client does.
    pub fn ends(&mut self, commit: bool) -> Option<E> {
        let response = self.end(5, commit);
        if response.error_code == 0 {
            assert_eq!(i64::from(response.producer_id), self.producer_id);
            assert_eq!(response.producer_epoch, self.epoch + 1);
            self.epoch = response.producer_epoch;
            self.sequences.clear();
        }
        code(response.error_code)
    }

    pub fn commits_offset(&mut self, version: i16, offset: i64) -> Option<E> {
        let place =
            TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![place]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(s(self.id)))
            .with_group_id(GroupId(s("group")))
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.epoch)
            .with_topics(vec![topic]);
        let response = self.raw.call(version, &request);
        code(response.topics[0].partitions[0].error_code)
    }

    pub fn is_open(&self) -> bool {
        let partitions = self.server.broker.topics().get("t").unwrap().partitions();
        partitions.iter().any(|p| !p.log().open_transactions().is_empty())
    }
}
