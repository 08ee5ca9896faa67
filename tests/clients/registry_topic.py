"""The registry's topic on a Kafka: registry_topic.py BD HOST:PORT. Registries of BD on that Kafka, which has no `_schemas` yet: what they
write is as Confluent's registry writes it, stays over restarts, is the same to two that write at once; and what others wrote is read."""

import json
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

TOPIC = "_schemas"
WRITERS = 4
ROUNDS = 25


class Registry:
    """A process of bd with nothing but the registry."""

    def __init__(self, bd, bootstrap):
        self.data = tempfile.TemporaryDirectory()
        arguments = ["up", "--roles", "registry", "--free-ports", "--data", self.data.name]
        arguments += ["--set", f"roles.cluster.bootstrap={bootstrap}"]
        self.process = subprocess.Popen([bd, *arguments], stdout=subprocess.PIPE, text=True)
        self.url = None
        for line in self.process.stdout:
            role, address = line.split()[:2]
            if role == "registry":
                self.url = address
            if role == "metrics":  # the last line
                break
        assert self.url, "bd ended before its registry was ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.data.cleanup()

    def ask(self, method, path, body=None):
        """The status and the answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def get(self, path):
        status, answer = self.ask("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    def register(self, subject, schema, **more):
        path = f"/subjects/{subject}/versions"
        status, answer = self.ask("POST", path, {"schema": schema, **more})
        assert status == 200, (subject, status, answer)
        return answer["id"]


def record(name, *fields):
    """An Avro record whose fields are optional."""
    fields = [{"name": f, "type": ["null", "string"], "default": None} for f in fields]
    return json.dumps({"type": "record", "name": name, "fields": fields}, separators=(",", ":"))


def records(bootstrap):
    """Keys and values of the whole topic, parsed."""
    config = {"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False}
    consumer = Consumer(config)
    _, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=30)
    consumer.assign([TopicPartition(TOPIC, 0, OFFSET_BEGINNING)])
    found = []
    while not found or found[-1].offset() + 1 < end:
        message = consumer.poll(30)
        assert message is not None and not message.error(), message and message.error()
        found.append(message)
    consumer.close()
    return [(m.key().decode(), m.value() and json.loads(m.value())) for m in found]


def writes_confluents_form(bd, bootstrap):
    with Registry(bd, bootstrap) as registry:
        first = registry.register("orders-value", record("Order", "a"))
        second = registry.register("orders-value", record("Order", "a", "b"))
        proto = 'syntax = "proto3";\nmessage M {\n  string a = 1;\n}\n'
        third = registry.register("m-value", proto, schemaType="PROTOBUF")
        assert registry.ask("PUT", "/config/orders-value", {"compatibility": "FULL"})[0] == 200
        assert registry.ask("PUT", "/mode/m-value", {"mode": "READONLY"})[0] == 200
        assert registry.ask("DELETE", "/subjects/orders-value/versions/1") == (200, 1)
    assert len({first, second, third}) == 3
    with Registry(bd, bootstrap) as registry:
        assert registry.get("/subjects/orders-value/versions/2")["id"] == second
        assert registry.register("other-value", record("Order", "a", "b")) == second
        assert registry.get("/subjects/orders-value/versions") == [2]
        assert registry.get("/config/orders-value")["compatibilityLevel"] == "FULL"
        assert registry.get(f"/schemas/ids/{third}")["schemaType"] == "PROTOBUF"
        status, refused = registry.ask("POST", "/subjects/m-value/versions", {"schema": '"string"'})
        assert (status, refused["error_code"]) == (422, 42205), refused
        assert registry.register("new-value", record("New")) == max(first, second, third) + 1
    found = dict(records(bootstrap))
    order = found['{"keytype":"SCHEMA","subject":"orders-value","version":2,"magic":1}']
    assert order["schema"] == record("Order", "a", "b"), order
    names = ("subject", "version", "id", "deleted")
    assert [order[name] for name in names] == ["orders-value", 2, second, False]
    assert found['{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}']["deleted"]
    assert found['{"keytype":"SCHEMA","subject":"m-value","version":1,"magic":1}']["schemaType"] == "PROTOBUF"
    config = found['{"keytype":"CONFIG","subject":"orders-value","magic":0}']
    assert config["compatibilityLevel"] == "FULL", config
    assert found['{"keytype":"MODE","subject":"m-value","magic":0}']["mode"] == "READONLY"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (described,) = admin.describe_configs([ConfigResource("topic", TOPIC)]).values()
    assert described.result(30)["cleanup.policy"].value == "compact"
    assert len(admin.list_topics(TOPIC, 30).topics[TOPIC].partitions) == 1


def two_agree(bd, bootstrap):
    with Registry(bd, bootstrap) as one, Registry(bd, bootstrap) as two:
        got = []  # (schema, id); append is atomic

        def write(registry, me):
            for i in range(ROUNDS):
                mine = record("Mine", f"w{me}i{i}")
                shared = record("Shared", f"i{i}")
                got.append((mine, registry.register(f"mine-{me}", mine)))
                got.append((shared, registry.register("shared", shared)))
                both = record("Both", f"i{i}")  # under subjects that only one writes
                got.append((both, registry.register(f"both-{me}", both)))

        failed = []

        def guarded(*arguments):
            try:
                write(*arguments)
            except BaseException as e:  # a thread's failure is the test's
                failed.append(e)

        assert one.ask("PUT", "/config", {"compatibility": "NONE"})[0] == 200
        threads = [threading.Thread(target=guarded, args=([one, two][me % 2], me)) for me in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed
        ids = {}
        for schema, number in got:
            assert ids.setdefault(schema, number) == number, f"{schema} has two ids"
        of_id = {}
        for schema, number in ids.items():
            assert of_id.setdefault(number, schema) == schema, f"id {number}: {schema} and {of_id[number]}"
        assert len(ids) == ROUNDS * (WRITERS + 2)
        with Registry(bd, bootstrap) as third:  # reads it all anew
            for registry in (one, two, third):
                assert registry.get("/subjects/shared/versions") == list(range(1, ROUNDS + 1))
                for schema, number in ids.items():
                    assert registry.get(f"/schemas/ids/{number}")["schema"] == schema
            versions = [one.get(f"/subjects/shared/versions/{v}") for v in range(1, ROUNDS + 1)]
            for registry in (two, third):
                assert [registry.get(f"/subjects/shared/versions/{v}") for v in range(1, ROUNDS + 1)] == versions


def schema_record(subject, version, number, schema, **more):
    key = {"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1}
    value = {"subject": subject, "version": version, "id": number, "schema": schema, "deleted": False}
    return key, {**value, **more}


def reads_what_others_wrote(bd, bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([TOPIC])[TOPIC].result(30)
    topic = NewTopic(TOPIC, 1, 1, config={"cleanup.policy": "compact"})
    for _ in range(100):  # until the old one is gone
        try:
            admin.create_topics([topic])[TOPIC].result(30)
            break
        except Exception as e:  # TOPIC_ALREADY_EXISTS
            last = e
    else:
        raise last

    def other(keytype, magic=0, **fields):
        return {"keytype": keytype, **fields, "magic": magic}

    v1, v2 = record("A", "x"), record("A", "x", "y")
    base = 'syntax = "proto3";\npackage p;\n\nmessage Base {\n  string a = 1;\n}\n'
    user = 'syntax = "proto3";\npackage p;\n\nimport "base.proto";\n\nmessage User {\n  .p.Base base = 1;\n}\n'
    reference = [{"name": "base.proto", "subject": "base", "version": 1}]
    written = [
        (other("NOOP"), None),
        schema_record("a", 1, 1, v1),  # Avro has no schemaType
        (other("CONFIG"), {"compatibilityLevel": "FULL_TRANSITIVE"}),
        (other("CONFIG", subject="a"), {"subject": "a", "compatibilityLevel": "FORWARD", "normalize": True}),
        schema_record("a", 2, 7, v2, schemaType="AVRO", md5="aGFzaA==", ruleSet=None, schemaTags=None),
        schema_record("base", 1, 8, base, schemaType="PROTOBUF"),
        schema_record("user", 1, 9, user, schemaType="PROTOBUF", references=reference),
        (other("MODE", subject="user"), {"subject": "user", "mode": "READONLY"}),
        # Two versions, deleted softly; the second is used again.
        schema_record("gone", 1, 10, record("G", "a")),
        schema_record("gone", 2, 11, record("G", "b")),
        (other("DELETE_SUBJECT", subject="gone"), {"subject": "gone", "version": 2}),
        schema_record("gone", 3, 11, record("G", "b")),
        # Deleted softly, then for good.
        schema_record("purged", 1, 12, record("P", "a")),
        schema_record("purged", 1, 12, record("P", "a"), deleted=True),
        (schema_record("purged", 1, 12, "")[0], None),
        # What is deleted softly is cleared.
        schema_record("cleared", 1, 13, record("C", "a"), deleted=True),
        schema_record("cleared", 2, 14, record("C", "b")),
        (other("CLEAR_SUBJECT", subject="cleared"), {"subject": "cleared"}),
        # A context of its own, with ids of its own.
        (other("CONTEXT", tenant="default", context=".blue"), {"tenant": "default", "context": ".blue"}),
        schema_record(":.blue:a", 1, 1, '"string"'),
        # Nothing to this registry.
        (other("EXPORTER_STATE", subject="a"), {"anything": [1]}),
        ("not JSON", {"a": 1}),
        (other("NOOP"), None),
    ]
    refused = []
    producer = Producer({"bootstrap.servers": bootstrap, "on_delivery": lambda e, _: e and refused.append(e)})
    for key, value in written:
        key = key if isinstance(key, str) else json.dumps(key, separators=(",", ":"))
        producer.produce(TOPIC, key=key, value=value and json.dumps(value), partition=0)
    assert producer.flush(30) == 0 and not refused, refused
    with Registry(bd, bootstrap) as registry:
        subjects = sorted(registry.get("/subjects?subjectPrefix=:*:"))
        assert subjects == [":.blue:a", "a", "base", "cleared", "gone", "user"], subjects
        assert registry.get("/config")["compatibilityLevel"] == "FULL_TRANSITIVE"
        of_a = registry.get("/config/a")
        assert (of_a["compatibilityLevel"], of_a["normalize"]) == ("FORWARD", True), of_a
        assert registry.get("/subjects/a/versions") == [1, 2]
        assert registry.get("/schemas/ids/7")["schema"] == v2
        assert registry.get("/subjects/user/versions/1")["references"] == reference
        assert registry.get("/subjects/base/versions/1/referencedby") == [9]
        assert registry.get("/mode/user")["mode"] == "READONLY"
        assert registry.get("/subjects/gone/versions") == [3]
        assert registry.get("/subjects/cleared/versions?deleted=true") == [2]
        assert registry.ask("GET", "/subjects/purged/versions?deleted=true")[0] == 404
        assert registry.get("/contexts") == [".", ".blue"]
        assert registry.get("/schemas/ids/1?subject=:.blue:")["schema"] == '"string"'
        assert registry.get("/schemas/ids/1")["schema"] == v1
        # It goes on with the ids, and with the rules.
        assert registry.register("a", v2) == 7
        assert registry.register("b", record("B")) == 15
        status, refused = registry.ask("POST", "/subjects/a/versions", {"schema": '"int"'})
        assert (status, "FORWARD" in refused["message"]) == (409, True), refused


if __name__ == "__main__":
    for check in [writes_confluents_form, two_agree, reads_what_others_wrote]:
        check(*sys.argv[1:])
        print(f"{check.__name__}: ok", flush=True)
