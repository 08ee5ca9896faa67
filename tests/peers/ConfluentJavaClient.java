import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.ParsedSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.SchemaMetadata;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.SchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.SchemaReference;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;

/** Confluent's Java client, as Apache Flink ships it, with the registry at a URL: see java-registry.sh. */
public final class ConfluentJavaClient {
  private static final String V1 =
      "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"a\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}]}";
  private static final String V2 =
      "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"a\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
          + "{\"name\":\"city\",\"type\":[\"null\",\"string\"],\"default\":null}]}";
  private static final String OTHER =
      "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"a\",\"fields\":[{\"name\":\"id\",\"type\":\"string\"}]}";
  private static final String LINE =
      "{\"type\":\"record\",\"name\":\"Line\",\"namespace\":\"a\",\"fields\":[{\"name\":\"of\",\"type\":\"a.Order\"}]}";

  private final String url;
  private int checks;

  private ConfluentJavaClient(String url) {
    this.url = url;
  }

  /** Without anything in its caches. */
  private SchemaRegistryClient client() {
    return new CachedSchemaRegistryClient(url, 100);
  }

  private void same(Object wanted, Object got) {
    checks++;
    if (!wanted.equals(got)) {
      throw new AssertionError("check " + checks + ": wanted " + wanted + ", got " + got);
    }
  }

  private interface Call {
    void run() throws Exception;
  }

  private void refused(int status, int code, Call call) throws Exception {
    try {
      call.run();
    } catch (RestClientException e) {
      same(status + " " + code, e.getStatus() + " " + e.getErrorCode());
      return;
    }
    throw new AssertionError("not refused with " + status + " " + code);
  }

  private void run() throws Exception {
    SchemaRegistryClient client = client();
    ParsedSchema v1 = new AvroSchema(V1);
    ParsedSchema v2 = new AvroSchema(V2);
    ParsedSchema other = new AvroSchema(OTHER);
    int first = client.register("orders-value", v1);
    int second = client.register("orders-value", v2);
    same(first, client().register("orders-value", v1));
    same(v2, client().getSchemaById(second));
    same(1, client().getVersion("orders-value", v1));
    same(second, client().getId("orders-value", v2));
    same(List.of(1, 2), client.getAllVersions("orders-value"));
    SchemaMetadata latest = client().getLatestSchemaMetadata("orders-value");
    same(List.of(second, 2, V2), List.of(latest.getId(), latest.getVersion(), latest.getSchema()));
    same(true, client.testCompatibility("orders-value", v1));
    same(false, client.testCompatibility("orders-value", other));
    same(true, client.testCompatibilityVerbose("orders-value", other).toString().contains("TYPE_MISMATCH"));
    refused(409, 40901, () -> client.register("orders-value", other));
    refused(404, 40401, () -> client().getLatestSchemaMetadata("nothing"));
    refused(404, 40402, () -> client().getSchemaMetadata("orders-value", 7));
    refused(404, 40403, () -> client().getSchemaById(4711));

    SchemaReference reference = new SchemaReference("a.Order", "orders-value", 2);
    ParsedSchema line = new AvroSchema(LINE, List.of(reference), Map.of("a.Order", V2), null);
    int third = client.register("lines-value", line);
    ParsedSchema read = client().getSchemaById(third);
    same(List.of(reference), read.references());
    same(line, read);

    same("FULL", client.updateCompatibility("lines-value", "FULL"));
    same("FULL", client.getCompatibility("lines-value"));
    same("BACKWARD", client.getCompatibility(null));
    same("READONLY", client.setMode("READONLY", "lines-value"));
    same("READONLY", client.getMode("lines-value"));
    refused(422, 42205, () -> client().register("lines-value", v1));
    same("READWRITE", client.setMode("READWRITE", "lines-value"));

    same(true, client.getAllSubjects().containsAll(List.of("orders-value", "lines-value")));
    same(List.of("orders-value"), List.copyOf(client.getAllSubjectsById(second)));
    refused(422, 42206, () -> client.deleteSchemaVersion("orders-value", "2"));
    same(1, client.deleteSchemaVersion("lines-value", "1"));
    same(1, client.deleteSchemaVersion(Collections.emptyMap(), "lines-value", "1", true));
    same(List.of(1, 2), client.deleteSubject("orders-value"));
    same(List.of(1, 2), client.deleteSubject(Collections.emptyMap(), "orders-value", true));
    refused(404, 40403, () -> client().getSchemaById(first));
    System.out.println("Confluent's Java client: " + checks + " checks");
  }

  public static void main(String[] arguments) throws Exception {
    new ConfluentJavaClient(arguments[0]).run();
  }
}
