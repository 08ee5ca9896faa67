"""Confluent's Python client with a registry over TLS that asks who comes: registry_security.py URL CA. Users ann:secret (all) and
eve:hers (reads), token t0ken (registers)."""

import sys

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

ORDER = Schema('{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}', "AVRO")
TOKEN = {
    "bearer.auth.credentials.source": "STATIC_TOKEN",
    "bearer.auth.token": "t0ken",
    "bearer.auth.logical.cluster": "lsrc-1",
    "bearer.auth.identity.pool.id": "pool-1",
}


def main(url, ca):
    def client(**more):
        return SchemaRegistryClient({"url": url, "ssl.ca.location": ca, **more})

    def user(info):
        return client(**{"basic.auth.user.info": info})

    def refused(status, code, ask):
        try:
            ask()
        except SchemaRegistryError as error:
            assert (error.http_status_code, error.error_code) == (status, code), error
            return error.error_message
        raise AssertionError("it is not refused")

    for nobody in (client(), user("ann:wrong"), user("bob:secret")):
        assert refused(401, 401, nobody.get_subjects) == "Unauthorized"
    reader = user("eve:hers")
    message = refused(403, 40301, lambda: reader.register_schema("orders-value", ORDER))
    assert message == "User is denied operation Write on Subject: orders-value", message
    context = SerializationContext("orders", MessageField.VALUE)
    data = AvroSerializer(client(**TOKEN), ORDER)({"id": 7}, context)
    assert AvroDeserializer(reader)(data, context) == {"id": 7}
    assert reader.lookup_schema("orders-value", ORDER).version == 1
    assert reader.test_compatibility("orders-value", ORDER)
    refused(403, 40301, lambda: client(**TOKEN).delete_subject("orders-value"))
    assert user("ann:secret").delete_subject("orders-value") == [1]
    print("security: ok")


main(*sys.argv[1:])
