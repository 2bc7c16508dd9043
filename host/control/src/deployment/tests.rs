//! The promises of a rollout over random histories of a world that the controller sees late.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod world;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

use super::*;
use world::{Act, World, deployment};

fn set_of(plan: &Plan) -> &Object {
    plan.steps
        .iter()
        .find_map(|step| match step {
            Step::Create(set) => Some(set.as_ref()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn the_first_replica_set_has_all_pods_and_the_hash_of_its_template() {
    let deployment = deployment(3, "v1");
    let plan = decide(&deployment, &Wanted::of(&deployment), &[], &HashSet::new());
    let set = set_of(&plan);
    let hash = set.label("pod-template-hash").unwrap();
    assert_eq!(set.name(), format!("web-{hash}"));
    assert_eq!(set.get(&["spec", "replicas"]), Some(&json!(3)));
    let labels = json!({"app": "web", "pod-template-hash": hash});
    assert_eq!(set.get(&["spec", "selector", "matchLabels"]), Some(&labels));
    assert_eq!(
        set.get(&["spec", "template", "metadata", "labels"]),
        Some(&labels)
    );
    assert_eq!(set.annotation(REVISION), Some("1"));
    assert_eq!(set.controller_of().unwrap().uid, "d");
    assert_eq!(plan.revision, Some(1));
}

#[test]
fn a_rollout_goes_step_by_step_within_its_bounds() {
    let mut world = World::new(deployment(4, "v1"));
    world.settle();
    world.act(&Act::Template(2));
    let mut most = 0;
    for _ in 0..40 {
        for act in [
            Act::Decide,
            Act::Hear,
            Act::Replicate(0),
            Act::Replicate(1),
            Act::Ready(0),
            Act::Hear,
        ] {
            world.act(&act);
            most = most.max(world.asked());
            assert!(world.ready() >= 3 && world.asked() <= 5, "{world:?}");
        }
    }
    world.settle();
    assert_eq!((most, world.complete()), (5, true), "{world:?}");
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut recreating = deployment(2, "v1");
    recreating.set(&["spec", "strategy"], json!({"type": "Recreate"}));
    let wanted = Wanted::of(&recreating);
    let mut old = (*set("old", "v0", 2)).clone();
    let down = |old: &Object, populated: &[&str]| {
        let populated = populated.iter().map(|uid| (*uid).to_owned()).collect();
        decide(&recreating, &wanted, &[Arc::new(old.clone())], &populated).steps
    };
    let steps = down(&old, &["old"]);
    assert!(matches!(&steps[..], [Step::Write(write)] if write.replicas == 0));
    old.set(&["spec", "replicas"], 0.into());
    assert!(down(&old, &["old"]).is_empty(), "its pods are still there");
    assert!(matches!(&down(&old, &[])[..], [Step::Create(_)]));
}

/// A replica set of the Deployment, with a template of `version`.
fn set(name: &str, version: &str, replicas: usize) -> Arc<Object> {
    let deployment = deployment(2, version);
    let wanted = Wanted::of(&deployment);
    let mut set = revision::replica_set(&deployment, &wanted, replicas);
    set.set(&["metadata", "name"], name.into());
    set.set(&["metadata", "uid"], name.into());
    Arc::new(set)
}

fn annotated(name: &str, version: &str, revision: u64) -> Arc<Object> {
    let mut set = (*set(name, version, 0)).clone();
    set.set(
        &["metadata", "annotations", REVISION],
        revision.to_string().into(),
    );
    Arc::new(set)
}

#[test]
fn an_undone_revision_gets_a_new_number_and_remembers_the_old_one() {
    let mut deployment = deployment(2, "v1");
    deployment.set(
        &["metadata", "annotations", "kubernetes.io/change-cause"],
        "undo".into(),
    );
    let sets = [annotated("a", "v1", 1), annotated("b", "v2", 2)];
    let plan = decide(
        &deployment,
        &Wanted::of(&deployment),
        &sets,
        &HashSet::new(),
    );
    assert_eq!(plan.revision, Some(3));
    let Some(Step::Write(write)) = plan.steps.first() else {
        panic!("{:?}", plan.steps)
    };
    let annotation = |key: &str| write.annotations.get(key).map(String::as_str);
    assert_eq!(write.set.name(), "a");
    assert_eq!(annotation(REVISION), Some("3"));
    assert_eq!(
        annotation("deployment.kubernetes.io/revision-history"),
        Some("1")
    );
    assert_eq!(annotation("kubernetes.io/change-cause"), Some("undo"));
}

#[test]
fn history_beyond_the_limit_goes_oldest_first() {
    let mut deployment = deployment(0, "v9");
    deployment.set(&["spec", "revisionHistoryLimit"], 1.into());
    let sets = [
        annotated("c", "v3", 3),
        annotated("a", "v1", 1),
        annotated("b", "v2", 2),
    ];
    let revisions = revision::Revisions::of(&Wanted::of(&deployment), &sets);
    let gone = revisions.superfluous(&Wanted::of(&deployment));
    let names: Vec<&str> = gone.iter().map(|set| set.name()).collect();
    assert_eq!(names, ["a", "b"]);
}

fn condition<'a>(status: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap();
    (
        found["status"].as_str().unwrap(),
        found["reason"].as_str().unwrap(),
    )
}

#[test]
fn a_rollout_without_progress_is_said_to_be_stuck() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let mut deployment = deployment(2, "v1");
    deployment.set(&["spec", "progressDeadlineSeconds"], 60.into());
    let wanted = Wanted::of(&deployment);
    let first = decide(&deployment, &wanted, &[], &HashSet::new());
    let report = first.report(&deployment, &wanted, at(1000));
    let status = report.status();
    assert_eq!(
        condition(&status, "Progressing"),
        ("True", "NewReplicaSetCreated")
    );
    assert_eq!(report.look_again(&status), Some(Duration::from_secs(61)));
    deployment.set(&["status"], status);
    let sets = [set("a", "v1", 2)];
    let plan = decide(&deployment, &wanted, &sets, &HashSet::new());
    let later = plan.report(&deployment, &wanted, at(1059)).status();
    assert_eq!(
        condition(&later, "Progressing"),
        ("True", "NewReplicaSetCreated")
    );
    let stuck = plan.report(&deployment, &wanted, at(1060)).status();
    assert_eq!(
        condition(&stuck, "Progressing"),
        ("False", "ProgressDeadlineExceeded")
    );
    assert_eq!(
        condition(&stuck, "Available"),
        ("False", "MinimumReplicasUnavailable")
    );
}

fn acts() -> impl Generate<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => Just(Act::Decide),
        4 => Just(Act::Hear),
        4 => (0_usize..4).prop_map(Act::Replicate),
        3 => (0_usize..12).prop_map(Act::Ready),
        1 => (0_usize..4).prop_map(Act::Template),
    ];
    prop::collection::vec(act, 1..160)
}

fn rough_acts() -> impl Generate<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => Just(Act::Decide),
        4 => Just(Act::Hear),
        4 => (0_usize..4).prop_map(Act::Replicate),
        3 => (0_usize..12).prop_map(Act::Ready),
        1 => (0_usize..4).prop_map(Act::Template),
        1 => (0_usize..8).prop_map(Act::Scale),
        1 => (0_usize..12).prop_map(Act::Crash),
        1 => any::<bool>().prop_map(Act::Pause),
    ];
    prop::collection::vec(act, 1..160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is rolled out, and however late everything is heard of: as long as no pod fails,
    /// never more pods are asked for than the surge allows, and never fewer are ready than promised.
    #[test]
    fn a_rollout_never_leaves_its_bounds(
        acts in acts(), replicas in 1_usize..8, surge in 0_usize..4, unavailable in 0_usize..4,
    ) {
        let mut start = deployment(replicas, "v0");
        start.set(&["spec", "strategy"], json!({"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}));
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        let mut world = World::new(start);
        world.settle();
        for act in &acts {
            world.act(act);
            prop_assert!(world.asked() <= replicas + surge, "after {act:?}: {world:?}");
            prop_assert!(world.ready() + unavailable >= replicas, "after {act:?}: {world:?}");
        }
        world.settle();
        prop_assert!(world.complete(), "{world:?}");
    }

    /// With crashes, pauses and changes of size in between, it converges all the same.
    #[test]
    fn it_converges(acts in rough_acts(), replicas in 0_usize..8) {
        let mut world = World::new(deployment(replicas, "v0"));
        for act in &acts {
            world.act(act);
        }
        world.act(&Act::Pause(false));
        world.settle();
        prop_assert!(world.complete(), "{world:?}");
        prop_assert!(world.sets() <= 3, "the history limit is 2: {world:?}");
    }
}
