"""confluent-kafka (librdkafka's Python client) against a broker: idempotent and transactional producers, a consumer group.

usage: confluent.py HOST:PORT. Exits 0 when all behaves; an assertion names what does not.
"""
import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
PATIENCE = 30


def topic(partitions):
    name = f"py-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(PATIENCE)
    return name


def consumer(group, **config):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": 6000, **config,
    })


def read(consumer_, count):
    """The values of the next `count` messages."""
    values, until = [], time.monotonic() + PATIENCE
    while len(values) < count and time.monotonic() < until:
        message = consumer_.poll(0.2)
        if message is None:
            continue
        assert message.error() is None, message.error()
        values.append(message.value())
    return values


def idempotent_producer():
    name = topic(1)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all"})
    offsets, failed = [], []

    def delivered(error, message):
        (failed if error else offsets).append(error or message.offset())

    for i in range(5000):
        producer.produce(name, str(i).encode(), key=str(i % 7).encode(), on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(PATIENCE) == 0
    assert not failed, failed
    assert sorted(offsets) == list(range(5000))
    reader = consumer("g-" + name)
    reader.assign([TopicPartition(name, 0, 0)])
    assert read(reader, 5000) == [str(i).encode() for i in range(5000)]
    reader.close()


def transactional_producer():
    name, source = topic(2), topic(1)
    config = {"bootstrap.servers": bootstrap, "transactional.id": "tx-" + name}
    producer = Producer(config)
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(name, b"aborted", partition=0)
    producer.flush(PATIENCE)
    producer.abort_transaction(PATIENCE)
    producer.begin_transaction()
    producer.produce(name, b"committed", partition=0)
    reader = consumer("g-" + name)
    producer.send_offsets_to_transaction([TopicPartition(source, 0, 42)], reader.consumer_group_metadata(), PATIENCE)
    producer.commit_transaction(PATIENCE)
    committed = reader.committed([TopicPartition(source, 0)], PATIENCE)
    assert committed[0].offset == 42, committed

    # An open transaction hides what follows from read_committed readers, and its successor ends it.
    producer.begin_transaction()
    producer.produce(name, b"open", partition=0)
    producer.flush(PATIENCE)
    plain = Producer({"bootstrap.servers": bootstrap})
    plain.produce(name, b"after", partition=0)
    assert plain.flush(PATIENCE) == 0
    reader.assign([TopicPartition(name, 0, 0)])
    assert read(reader, 1) == [b"committed"]
    assert reader.poll(0.5) is None
    low, high = reader.get_watermark_offsets(TopicPartition(name, 0), PATIENCE)
    assert low == 0 and high >= 3, (low, high)

    successor = Producer(config)
    successor.init_transactions(PATIENCE)
    assert read(reader, 1) == [b"after"]
    try:
        producer.commit_transaction(PATIENCE)
        raise AssertionError("a fenced producer could commit")
    except KafkaException as error:
        assert error.args[0].fatal() or error.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH), error
    reader.close()


def consumer_group():
    name, group = topic(4), f"group-{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": bootstrap})
    for i in range(400):
        producer.produce(name, str(i).encode(), partition=i % 4)
    assert producer.flush(PATIENCE) == 0
    first = consumer(group)
    first.subscribe([name])
    got = read(first, 400)
    assert sorted(got, key=int) == [str(i).encode() for i in range(400)]
    first.commit(asynchronous=False)

    second = consumer(group)
    second.subscribe([name])
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not (len(first.assignment()) == 2 and len(second.assignment()) == 2):
        first.poll(0.1)
        second.poll(0.1)
    assert len(first.assignment()) == 2 and len(second.assignment()) == 2, (first.assignment(), second.assignment())
    first.close()
    while time.monotonic() < until and len(second.assignment()) != 4:
        second.poll(0.1)
    assert len(second.assignment()) == 4, second.assignment()
    for i in range(400, 404):
        producer.produce(name, str(i).encode(), partition=i % 4)
    assert producer.flush(PATIENCE) == 0
    assert sorted(read(second, 4), key=int) == [b"400", b"401", b"402", b"403"]
    second.close()


for test in (idempotent_producer, transactional_producer, consumer_group):
    test()
    print(f"{test.__name__}: ok", flush=True)
