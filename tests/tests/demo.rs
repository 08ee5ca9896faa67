//! The demo as people start it, with real servers: recorded cases through all sources to topics and indices, whatever happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_e2e::demo::Demo;
use bd_e2e::{check_outputs, open_cluster, root};
use std::path::Path;
use std::time::Instant;
use tv_cases::rng::Rng;
use tv_cases::{Options, read_rows};

/// The rows that a case expects of an output.
fn expected(case: &Path, output: &str) -> u64 {
    read_rows(&case.join(format!("expected_{output}.jsonl"))).unwrap().len() as u64
}

/// The line that a completed replay ends with.
fn completed(case: &Path) -> String {
    let [sessions, show_views, ad_views] =
        ["sessions", "show_views", "ad_views"].map(|output| expected(case, output));
    format!("replay complete: sessions={sessions} show_views={show_views} ad_views={ad_views}")
}

/// Topics and indices of a completed replay hold what the case expects.
fn check(demo: &mut Demo, case: &Path) {
    for output in ["sessions", "show_views", "ad_views"] {
        assert_eq!(demo.documents(output), expected(case, output), "documents of {output}");
    }
    assert_eq!(demo.documents("shows"), expected(case, "shows_schedule"), "documents of shows");
    demo.stop().unwrap();
    check_outputs(open_cluster(&demo.data.join("bd/cluster")).unwrap().as_ref(), case).unwrap();
}

#[test]
fn the_fixture_through_the_real_sources_gives_the_expected_rows_and_documents() {
    let case = root().join("demo/tv/fixture");
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(&["--replay", case.to_str().unwrap()]).unwrap();
    let line = demo.wait_for("replay complete").unwrap();
    assert_eq!(line.trim(), completed(&case));
    check(&mut demo, &case);

    // On a completed folder it only serves.
    let again = Demo::start_in(&demo.data, demo.ports, &["--replay", case.to_str().unwrap()]);
    let mut again = again.unwrap();
    again.wait("documents", |demo| Ok(demo.documents("sessions") == expected(&case, "sessions"))).unwrap();
    check(&mut again, &case);

    // Another world does not fit into it.
    let other = Demo::start_in(&demo.data, demo.ports, &["--replay", folder.path().to_str().unwrap()]);
    let mut other = other.unwrap();
    assert!(other.wait_for("nothing").is_err());
}

#[test]
fn a_case_while_bd_is_killed_at_ten_points_of_its_progress_gives_the_expected_rows_and_documents() {
    let case = tempfile::tempdir().unwrap();
    let options =
        Options { seed: 23, actions: 20_000, late: Some(1.0), hard: Some(true), ..Options::default() };
    tv_cases::generate(&options, case.path()).unwrap();
    let case = case.path();
    let mut demo = Demo::start(&["--replay", case.to_str().unwrap()]).unwrap();

    // The points: numbers of actions that are in their topic, and then of documents in the index of views.
    let mut rng = Rng::new(23);
    let mut points: Vec<i64> = (0..7).map(|_| rng.between(100, 19_000)).collect();
    points.sort_unstable();
    let begin = Instant::now();
    for point in points {
        let reached = demo.wait(&format!("{point} actions"), |demo| {
            let offsets = demo.get(demo.ports.connect, "/connectors/actions/offsets")?;
            Ok(offsets["offsets"][0]["offset"]["messages"].as_i64().unwrap_or(0) >= point)
        });
        reached.unwrap();
        demo.kill("bd").unwrap();
        println!("killed at {point} actions, {:?}", begin.elapsed());
    }
    let views = expected(case, "show_views");
    for part in [10, 40, 70] {
        let point = views * part / 100;
        demo.wait(&format!("{point} views"), |demo| Ok(demo.documents("show_views") >= point)).unwrap();
        demo.kill("bd").unwrap();
        println!("killed at {point} views, {:?}", begin.elapsed());
    }
    let line = demo.wait_for("replay complete").unwrap();
    assert_eq!(line.trim(), completed(case));
    check(&mut demo, case);
}

#[test]
fn a_column_added_to_users_while_it_runs_makes_a_second_version_of_their_schema_and_all_goes_on() {
    let case = tempfile::tempdir().unwrap();
    tv_cases::generate(&Options { seed: 6, actions: 5_000, ..Options::default() }, case.path()).unwrap();
    let case = case.path();
    let mut demo = Demo::start(&["--replay", case.to_str().unwrap()]).unwrap();
    let versions = |demo: &Demo| {
        let path = "/subjects/tv.tv.users-value/versions";
        Ok::<_, anyhow::Error>(demo.get(demo.ports.registry, path).unwrap_or_default())
    };
    demo.wait("the first users", |demo| Ok(versions(demo)? == serde_json::json!([1]))).unwrap();

    demo.database("ALTER TABLE users ADD COLUMN email VARCHAR(100)").unwrap();
    demo.database("UPDATE users SET email = CONCAT(user_id, '@tv.example') ORDER BY user_id LIMIT 1")
        .unwrap();
    demo.wait("the second version", |demo| Ok(versions(demo)? == serde_json::json!([1, 2]))).unwrap();
    let columns = |demo: &Demo, version: u32| -> Vec<String> {
        let path = format!("/subjects/tv.tv.users-value/versions/{version}/schema");
        let fields = demo.get(demo.ports.registry, &path).unwrap()["fields"].as_array().cloned().unwrap();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(columns(&demo, 1), ["user_id", "name", "age", "gender"]);
    assert_eq!(columns(&demo, 2), ["user_id", "name", "age", "gender", "email"]);

    let line = demo.wait_for("replay complete").unwrap();
    assert_eq!(line.trim(), completed(case));
    // Queries of a replay have ended; connectors run on.
    let mut troubles = demo.troubles().unwrap();
    troubles.retain(|trouble| trouble.starts_with("connector"));
    assert_eq!(troubles, [""; 0]);
    check(&mut demo, case);
}
