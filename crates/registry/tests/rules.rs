//! What Confluent's registry does beyond registering: references, contexts, modes, configs, guids, deletes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::Server;
use serde_json::{Value, json};

fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
}

fn put_avro(server: &Server, subject: &str, text: &str) -> (u16, Value) {
    server.call("POST", &format!("/subjects/{subject}/versions"), Some(json!({"schema": text})))
}

#[test]
fn a_schema_refers_to_another_one_which_then_cannot_be_deleted() {
    let server = Server::start();
    let address = record("Address", r#"{"name":"city","type":"string"}"#);
    put_avro(&server, "address", &address);
    let person = record("Person", r#"{"name":"home","type":"Address"}"#);
    let reference = json!({"name": "Address", "subject": "address", "version": -1});
    let body = json!({"schema": person, "references": [reference]});
    let (status, answer) = server.call("POST", "/subjects/person/versions", Some(body.clone()));
    assert_eq!((status, &answer["id"]), (200, &json!(2)));
    let fixed = json!([{"name": "Address", "subject": "address", "version": 1}]);
    assert_eq!(server.get("/schemas/ids/2").1["references"], fixed);
    let resolved = server.get("/schemas/ids/2?format=resolved").1["schema"].as_str().unwrap().to_owned();
    assert!(resolved.contains("city"), "{resolved}");
    assert_eq!(server.get("/subjects/address/versions/1/referencedby"), (200, json!([2])));
    // Looked up with its references, and (as Confluent allows) not without a type that only they declare.
    assert_eq!(server.call("POST", "/subjects/person", Some(body)).1["version"], 1);

    let delete = |path: &str| server.call("DELETE", path, None);
    let exists =
        "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=address,version=1}.";
    for path in ["/subjects/address", "/subjects/address/versions/1"] {
        let refused = json!({"error_code": 42206, "message": exists});
        assert_eq!(delete(path), (422, refused), "{path}");
    }
    assert_eq!(delete("/subjects/person"), (200, json!([1])));
    assert_eq!(server.get("/subjects/address/versions/1/referencedby"), (200, json!([])));
    assert_eq!(server.get("/subjects/address/versions/1/referencedby?deleted=true"), (200, json!([2])));
    assert_eq!(delete("/subjects/address"), (200, json!([1])));
    assert_eq!(delete("/subjects/address?permanent=true").1["error_code"], 42206);
    assert_eq!(delete("/subjects/person?permanent=true"), (200, json!([1])));
    assert_eq!(delete("/subjects/address?permanent=true"), (200, json!([1])));

    let lost =
        json!({"schema": person, "references": [{"name": "Address", "subject": "address", "version": 1}]});
    let (status, answer) = server.call("POST", "/subjects/person/versions", Some(lost));
    assert_eq!((status, &answer["error_code"]), (422, &json!(42201)));
    let message = answer["message"].as_str().unwrap();
    let end = "details: No schema reference found for subject \"address\" and version 1";
    assert!(message.ends_with(end), "{message}");
}

#[test]
fn each_context_has_its_own_ids_and_paths() {
    let server = Server::start();
    assert_eq!(put_avro(&server, "s", "\"int\"").1["id"], 1);
    assert_eq!(put_avro(&server, ":.a:s", "\"long\"").1["id"], 1);
    let within =
        server.call("POST", "/contexts/.a/subjects/t/versions", Some(json!({"schema": "\"string\""})));
    assert_eq!(within.1["id"], 2);
    assert_eq!(server.get("/contexts"), (200, json!([".", ".a"])));
    assert_eq!(server.get("/subjects"), (200, json!([":.a:s", ":.a:t", "s"])));
    assert_eq!(server.get("/subjects?subjectPrefix="), (200, json!(["s"])));
    assert_eq!(server.get("/subjects?subjectPrefix=:.a:t"), (200, json!([":.a:t"])));
    assert_eq!(server.get("/contexts/.a/subjects"), (200, json!([":.a:s", ":.a:t"])));
    assert_eq!(server.get("/subjects?subjectPrefix=:*:s"), (200, json!([":.a:s", "s"])));
    let in_context = server.get("/contexts/.a/schemas/ids/1").1;
    assert_eq!((&in_context["subject"], &in_context["schema"]), (&json!(":.a:s"), &json!("\"long\"")));
    assert_eq!(server.get("/schemas/ids/2").1["error_code"], 40403);
    // A subject that names no context is looked for in all.
    assert_eq!(server.get("/schemas/ids/2?subject=t").1["schema"], "\"string\"");
    assert_eq!(server.get("/subjects/t/versions/1").1["subject"], ":.a:t");
    assert_eq!(server.get("/schemas?subjectPrefix=:*:").1.as_array().unwrap().len(), 3);
    assert_eq!(server.get("/schemas").1.as_array().unwrap().len(), 1);

    let put = |path: &str, level: &str| server.call("PUT", path, Some(json!({"compatibility": level}))).0;
    assert_eq!(put("/contexts/.a/config", "FULL"), 200);
    assert_eq!(server.get("/config/:.a:").1, json!({"compatibilityLevel": "FULL"}));
    assert_eq!(server.get("/config/:.a:s?defaultToGlobal=true").1["compatibilityLevel"], "FULL");
    assert_eq!(server.get("/config/s?defaultToGlobal=true").1["compatibilityLevel"], "BACKWARD");
    assert_eq!(put("/config/:.__GLOBAL:", "NONE"), 200);
    assert_eq!(server.get("/config/s?defaultToGlobal=true").1["compatibilityLevel"], "NONE");

    assert_eq!(server.call("DELETE", "/contexts/.a", None).1["error_code"], 42211);
    for path in ["/subjects/:.a:s", "/subjects/:.a:t"] {
        server.call("DELETE", path, None);
        server.call("DELETE", &format!("{path}?permanent=true"), None);
    }
    assert_eq!(server.status("DELETE", "/contexts/.a"), 204);
    assert_eq!(server.get("/contexts"), (200, json!(["."])));
}

#[test]
fn modes_say_what_may_be_done() {
    let server = Server::start();
    let mode = |path: &str, mode: &str| server.call("PUT", path, Some(json!({"mode": mode})));
    put_avro(&server, "s", "\"int\"");
    assert_eq!(server.get("/mode"), (200, json!({"mode": "READWRITE"})));
    assert_eq!(server.get("/mode/s").1["error_code"], 40409);
    assert_eq!(mode("/mode/s", "sideways").1["error_code"], 42204);
    assert_eq!(mode("/mode/s", "READONLY"), (200, json!({"mode": "READONLY"})));
    let message = "Subject s in context  is in read-only mode";
    let refused = json!({"error_code": 42205, "message": message});
    assert_eq!(put_avro(&server, "s", "\"long\""), (422, refused.clone()));
    assert_eq!(server.call("DELETE", "/subjects/s", None), (422, refused));
    assert_eq!(server.call("DELETE", "/mode/s", None), (200, json!({"mode": "READONLY"})));
    assert_eq!(server.call("DELETE", "/mode/s", None).1["error_code"], 40401);
    let with_id = |id: u32, version: u32, text: &str| {
        let body = json!({"schema": text, "id": id, "version": version});
        server.call("POST", "/subjects/i/versions", Some(body))
    };
    assert_eq!(with_id(50, 3, "\"int\"").1["message"], "Subject i in context  is not in import mode");
    assert_eq!(mode("/mode", "IMPORT").1["message"], "Cannot import since found existing subjects");
    assert_eq!(mode("/mode/i", "IMPORT").0, 200);
    assert_eq!(with_id(50, 3, "\"string\"").1["id"], 50);
    assert_eq!(with_id(7, 1, "\"bytes\"").1["id"], 7);
    assert_eq!(server.get("/subjects/i/versions"), (200, json!([1, 3])));
    let message = "Overwrite new schema with id 50 in context  is not permitted.";
    assert_eq!(with_id(50, 4, "\"double\"").1["message"], message);
    assert_eq!(
        put_avro(&server, "i", "\"int\"").1["message"],
        "Subject i in context  is not in read-write mode"
    );
    mode("/mode/i", "READWRITE");
    assert_eq!(server.get("/schemas/ids/7?fetchMaxId=true").1["maxId"], 50);
    assert_eq!(put_avro(&server, "other", "\"float\"").1["id"], 51);
    assert_eq!(mode("/mode", "FORWARD").1["message"], "Forward mode only supported on global level");
}

#[test]
fn metadata_rules_and_configs_are_kept_and_merged() {
    let server = Server::start();
    let put = |body: Value| server.call("PUT", "/config/s", Some(body));
    let defaults = json!({"properties": {"owner": "nobody", "team": "a"}});
    let (_, config) = put(json!({"defaultMetadata": defaults, "normalize": true}));
    assert_eq!(config, json!({"normalize": true, "defaultMetadata": defaults}));
    let rules = json!({"domainRules": [{"name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true"}]});
    let body = json!({"schema": "\"int\"", "metadata": {"properties": {"owner": "me"}}, "ruleSet": rules});
    let (_, answer) = server.call("POST", "/subjects/s/versions", Some(body));
    assert_eq!(answer["metadata"], json!({"properties": {"owner": "me", "team": "a"}}));
    let found = server.get("/subjects/s/metadata?key=owner&value=me").1;
    assert_eq!(
        (&found["version"], &found["ruleSet"]["domainRules"][0]["disabled"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(server.get("/subjects/s/metadata?key=owner&value=you").1["error_code"], 40403);
    assert_eq!(server.get("/schemas?ruleType=CEL").1.as_array().unwrap().len(), 1);
    assert_eq!(server.get("/schemas?ruleType=OTHER").1, json!([]));
    let bad = json!({"schema": "\"int\"", "ruleSet": {"domainRules": [{"name": "r", "type": "CEL", "mode": "UPGRADE"}]}});
    let (status, refused) = server.call("POST", "/subjects/s/versions", Some(bad));
    let message = "Domain rules can only be WRITE, READ, WRITEREAD";
    assert_eq!((status, refused), (422, json!({"error_code": 42210, "message": message})));
    // A field that a change does not name stays; a null takes it away.
    put(json!({"compatibility": "FULL"}));
    put(json!({"defaultMetadata": null}));
    let set = json!({"normalize": true, "compatibilityLevel": "FULL"});
    assert_eq!(server.get("/config/s"), (200, set));

    server.call("PUT", "/config/other", Some(json!({"alias": "s"})));
    assert_eq!(server.get("/subjects/other/versions"), (200, json!([1])));
    assert_eq!(server.get("/schemas?aliases=true").1[0]["aliases"], json!(["other"]));
}

#[test]
fn a_schema_is_found_by_its_guid_and_deleted_versions_by_those_who_ask() {
    let server = Server::start();
    let (_, registered) = put_avro(&server, "s", "\"int\"");
    // The MD5 of the text, as Confluent's.
    assert_eq!(registered["guid"], "ef524ea1-b91e-7317-3d93-8ade36c1db32");
    let guid = registered["guid"].as_str().unwrap();
    assert_eq!(server.get(&format!("/schemas/guids/{guid}")).1["schema"], "\"int\"");
    assert_eq!(server.get(&format!("/schemas/guids/{guid}/ids")), (200, json!([{"context": ".", "id": 1}])));
    assert_eq!(server.get("/schemas/guids/none").1["error_code"], 40403);

    server.call("PUT", "/config", Some(json!({"compatibility": "NONE"})));
    put_avro(&server, "s", "\"long\"");
    server.call("DELETE", "/subjects/s/versions/1", None);
    assert_eq!(server.get("/subjects/s/versions?deletedOnly=true"), (200, json!([1])));
    assert_eq!(server.get("/subjects/s/versions?deletedAsNegative=true"), (200, json!([-1, 2])));
    assert_eq!(server.get("/subjects/s/versions?deleted=true&offset=1&limit=1"), (200, json!([2])));
    assert_eq!(server.get("/subjects/s/versions/1").1["error_code"], 40402);
    assert_eq!(server.get("/subjects/s/versions/1?deleted=true").1["version"], 1);
    assert_eq!(server.call("DELETE", "/subjects/s/versions/1", None).1["error_code"], 40406);
    // Registered again it has its id, and the deleted version is gone.
    assert_eq!(put_avro(&server, "s", "\"int\"").1["id"], 1);
    assert_eq!(server.get("/subjects/s/versions?deleted=true"), (200, json!([2, 3])));
    assert_eq!(server.get("/schemas?latestOnly=true").1[0]["version"], 3);
}

#[test]
fn all_three_languages_are_kept_and_checked() {
    let server = Server::start();
    let put = |schema_type: &str, text: &str| {
        let body = json!({"schemaType": schema_type, "schema": text});
        server.call("POST", &format!("/subjects/{schema_type}/versions"), Some(body))
    };
    let closed = r#"{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}"#;
    assert_eq!(put("JSON", closed).0, 200);
    let (status, answer) = put("JSON", &closed.replace("integer", "string"));
    assert_eq!((status, &answer["error_code"]), (409, &json!(40901)));
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("{errorType:\"TYPE_CHANGED\""), "{message}");
    assert_eq!(server.get("/schemas/types"), (200, json!(["JSON", "PROTOBUF", "AVRO"])));
    let other = json!({"schema": "\"int\""});
    let checked = server.call("POST", "/compatibility/subjects/JSON/versions?verbose=true", Some(other));
    assert_eq!(checked.1["messages"][0], "Incompatible because of different schema type");
}

#[test]
fn content_types_are_confluents() {
    let server = Server::start();
    let answered = |accept: &str| server.headers("GET", "/subjects", &[("accept", accept)]);
    assert_eq!(answered("application/json"), (200, "application/json".into()));
    assert_eq!(answered("*/*"), (200, "application/vnd.schemaregistry.v1+json".into()));
    assert_eq!(answered("text/html").0, 406);
    assert_eq!(server.headers("POST", "/subjects/s/versions", &[("content-type", "text/plain")]).0, 415);
    assert_eq!(
        server.headers("POST", "/subjects/s/versions", &[("content-type", "application/json")]).0,
        422
    );
}

#[test]
fn tags_within_a_schema_are_found() {
    let server = Server::start();
    let text = r#"{"type":"record","name":"User","namespace":"a","fields":[{"name":"mail","type":"string","confluent:tags":["PII"]}]}"#;
    let (status, answer) = put_avro(&server, "s", text);
    assert_eq!(status, 200, "{answer}");
    let tagged =
        json!([{"schemaEntity": {"entityPath": "a.User.mail", "entityType": "sr_field"}, "tags": ["PII"]}]);
    for path in ["/schemas/ids/1?findTags=PII", "/subjects/s/versions/1?findTags=OTHER&findTags=PII"] {
        assert_eq!(server.get(path).1["schemaTags"], tagged, "{path}");
    }
    assert_eq!(server.get("/schemas/ids/1?findTags=OTHER").1.get("schemaTags"), None);
    assert_eq!(server.get("/v1/metadata/deployment"), (200, json!({"attributes": []})));
}

#[test]
fn a_lenient_policy_lets_properties_come_to_an_open_content_model() {
    let server = Server::start();
    let put = |properties: Value| {
        let schema = json!({"type": "object", "properties": properties}).to_string();
        let body = json!({"schemaType": "JSON", "schema": schema});
        server.call("POST", "/subjects/s/versions", Some(body)).0
    };
    let (one, two) =
        (json!({"a": {"type": "string"}}), json!({"a": {"type": "string"}, "b": {"type": "string"}}));
    assert_eq!((put(one), put(two.clone())), (200, 409));
    let lenient = json!({"compatibilityPolicy": "lenient"});
    assert_eq!(server.call("PUT", "/config/s", Some(lenient)).1["compatibilityPolicy"], "LENIENT");
    assert_eq!(put(two), 200);
}
