"""Confluent's Python serializers with a schema registry: registry.py URL. Each language with a reference, written and read back by
another client; a schema that is not compatible is refused."""

import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

CITY = {"name": "Berlin"}
PERSON = {"id": 7, "home": CITY}


def client(url):
    return SchemaRegistryClient({"url": url})


def avro(url):
    city = {"type": "record", "name": "City", "namespace": "a", "fields": [{"name": "name", "type": "string"}]}
    person = {
        "type": "record",
        "name": "Person",
        "namespace": "a",
        "fields": [{"name": "id", "type": "long"}, {"name": "home", "type": "a.City"}],
    }
    registry = client(url)
    registry.register_schema("avro-city", Schema(json.dumps(city), "AVRO"))
    schema = Schema(json.dumps(person), "AVRO", [SchemaReference("a.City", "avro-city", 1)])
    context = SerializationContext("avro", MessageField.VALUE)
    data = AvroSerializer(registry, schema)(PERSON, context)
    assert AvroDeserializer(client(url))(data, context) == PERSON
    other = Schema(json.dumps({**person, "fields": [{"name": "id", "type": "string"}]}), "AVRO")
    try:
        registry.register_schema("avro-value", other)
        raise AssertionError("an incompatible schema is taken")
    except SchemaRegistryError as refused:
        assert refused.http_status_code == 409, refused
        assert "TYPE_MISMATCH" in refused.error_message, refused
    assert not registry.test_compatibility("avro-value", other)
    assert registry.get_latest_version("avro-value").version == 1
    assert registry.lookup_schema("avro-value", schema).version == 1


def json_schema(url):
    city = {"$id": "city.json", "type": "object", "properties": {"name": {"type": "string"}}}
    person = {
        "title": "Person",
        "type": "object",
        "properties": {"id": {"type": "integer"}, "home": {"$ref": "city.json"}},
    }
    registry = client(url)
    registry.register_schema("json-city", Schema(json.dumps(city), "JSON"))
    schema = Schema(json.dumps(person), "JSON", [SchemaReference("city.json", "json-city", 1)])
    context = SerializationContext("json", MessageField.VALUE)
    data = JSONSerializer(schema, registry)(PERSON, context)
    assert JSONDeserializer(schema, schema_registry_client=client(url))(data, context) == PERSON


def messages():
    """Classes of messages as `protoc` makes them, of two files."""
    field = descriptor_pb2.FieldDescriptorProto
    city = descriptor_pb2.FileDescriptorProto(name="city.proto", package="p", syntax="proto3")
    message = city.message_type.add(name="City")
    message.field.add(name="name", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    person = descriptor_pb2.FileDescriptorProto(name="person.proto", package="p", syntax="proto3")
    person.dependency.append("city.proto")
    message = person.message_type.add(name="Person")
    message.field.add(name="id", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    message.field.add(
        name="home", number=2, type=field.TYPE_MESSAGE, type_name=".p.City", label=field.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(city)
    pool.Add(person)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Person"))


def protobuf(url):
    person = messages()
    value = person(id=7)
    value.home.name = "Berlin"
    context = SerializationContext("protobuf", MessageField.VALUE)
    # It registers city.proto too, and refers to it.
    data = ProtobufSerializer(person, client(url))(value, context)
    assert ProtobufDeserializer(person, {}, client(url))(data, context) == value
    latest = client(url).get_latest_version("protobuf-value")
    assert [r.name for r in latest.schema.references] == ["city.proto"], latest


if __name__ == "__main__":
    for check in [avro, json_schema, protobuf]:
        check(sys.argv[1])
        print(f"{check.__name__}: ok")
