//! Generated cases as a whole: the same for a seed, and nasty where they should be.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::{collections::BTreeMap, fs, path::Path};

use tv_cases::{Options, Topic, Written, case::Case, expect, generate, records};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn write(options: &Options) -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let written = generate(options, folder.path()).unwrap();
    (folder, written)
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let options = Options { seed: 3, actions: 300, ..Options::default() };
    let (a, b) = (write(&options).0, write(&options).0);
    assert_eq!(files(a.path()), files(b.path()));
    assert_eq!(files(a.path()).len(), 10);
    let c = write(&Options { seed: 4, ..options }).0;
    assert_ne!(files(a.path())["actions.jsonl"], files(c.path())["actions.jsonl"]);
}

#[test]
fn a_case_has_as_many_actions_as_asked_for() {
    for actions in [1, 2, 10, 57, 400] {
        for hard in [true, false] {
            let (folder, written) = write(&Options { actions, hard: Some(hard), ..Options::default() });
            assert_eq!(written.actions, actions);
            assert_eq!(records(folder.path(), Topic::Actions).unwrap().count(), actions);
        }
    }
}

#[test]
fn a_case_without_late_rows_has_none() {
    for seed in 0..40 {
        let (folder, _) =
            write(&Options { seed, actions: 200, late: Some(0.0), hard: Some(true), ..Options::default() });
        let case = Case::read(folder.path()).unwrap();
        let counts = expect(&case).unwrap().counts;
        assert_eq!((counts.actions_late, counts.ads_late, counts.device_locations_late), (0, 0, 0), "{seed}");
    }
}

#[test]
fn small_cases_together_meet_every_rule() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for seed in 0..50 {
        let (folder, _) = write(&Options { seed, actions: 200, ..Options::default() });
        let case = Case::read(folder.path()).unwrap();
        let expected = expect(&case).unwrap();
        let mut saw = |what, count: usize| *seen.entry(what).or_default() += count;
        saw("late actions", expected.counts.actions_late);
        saw("late ads", expected.counts.ads_late);
        saw("late places", expected.counts.device_locations_late);
        saw("dead actions", expected.counts.actions_dead);
        saw("dead ads", expected.counts.ads_dead);
        saw("dead places", expected.counts.device_locations_dead);
        saw("too long", expected.counts.sessions_too_long);
        let length = |s: &tv_cases::expect::Session| s.end_ts - s.start_ts;
        saw("a whole day", expected.sessions.iter().filter(|s| length(s) == 86_400).count());
        saw("no length", expected.sessions.iter().filter(|s| length(s) == 0).count());
        let unknown = |s: &&tv_cases::expect::Session| !case.users.contains_key(&s.user_id.unwrap_or(0));
        saw("unknown users", expected.sessions.iter().filter(unknown).count());
        let views = || {
            let ads = expected.ad_views.iter().map(|view| &view.viewing);
            expected.show_views.iter().map(|view| &view.viewing).chain(ads)
        };
        saw("views with a place", views().filter(|v| v.location_ts.is_some()).count());
        saw("views without", views().filter(|v| v.location_ts.is_none()).count());
        saw("places at the start", views().filter(|v| v.location_ts == Some(v.start_ts)).count());
        saw("places at the end", views().filter(|v| v.location_ts == Some(v.end_ts)).count());
        saw("touches", views().filter(|v| v.start_ts == v.end_ts).count());
        saw("names beyond ASCII", views().filter(|v| v.name.is_some_and(|n| !n.is_ascii())).count());
        saw("ids beyond 2^53", views().filter(|v| v.user_id > 1 << 53).count());
        let far = expected.ad_views.iter().filter(|v| {
            let ads = case.ads.rows.iter().filter(|ad| ad.ad_id == v.ad_id && ad.ad_id == Some(100));
            ads.into_iter().any(|ad| v.viewing.start_ts == ad.start_ts + 3600)
        });
        saw("ads 25 hours before a session's end", far.count());
    }
    for (what, count) in &seen {
        assert!(*count >= 5, "{what}: {count} of {seen:?}");
    }
}

#[test]
fn a_new_case_leaves_no_expected_rows_of_the_one_before() {
    let options = Options { actions: 50, ..Options::default() };
    let (folder, _) = write(&options);
    let written = generate(&Options { inputs_only: true, ..options }, folder.path()).unwrap();
    assert_eq!(written.expected, None);
    assert_eq!(files(folder.path()).len(), 5);
}

#[test]
fn contradictory_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        Options { actions: 0, ..Options::default() },
        Options { actions: 5, channels: Some(0), ..Options::default() },
        Options { actions: 5, late: Some(101.0), ..Options::default() },
    ] {
        assert!(generate(&options, folder.path()).is_err(), "{options:?}");
    }
}
