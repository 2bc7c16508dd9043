//! A lookup by index answers what a linear scan would.

use proptest::prelude::*;

use super::*;
use crate::istio::virtual_service;
use crate::snapshot::ask;
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::matcher::StringMatch;
use osier_routing::rules::Rules;

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/c",
    ])
    .prop_map(str::to_owned)
}

fn uri_condition() -> impl Strategy<Value = Option<Value>> {
    let text = path().prop_flat_map(|path| {
        prop_oneof![
            Just(json!({"exact": path.clone()})),
            Just(json!({"prefix": path.clone()})),
            Just(json!({"segments": path.clone()})),
            Just(json!({"regex": format!("{path}.*")})),
        ]
    });
    prop::option::weighted(0.7, text)
}

fn header_condition() -> impl Strategy<Value = Value> {
    let value = prop::sample::select(vec!["1", "2", "3"]);
    prop_oneof![
        Just(json!({})),
        value.clone().prop_map(|value| json!({"exact": value})),
        value.prop_map(|value| json!({"prefix": value})),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let headers = prop::collection::btree_map(
        prop::sample::select(vec!["x-a", "x-b"]),
        header_condition(),
        0..3,
    );
    let method = prop::option::weighted(0.3, prop::sample::select(vec!["GET", "POST"]));
    (uri_condition(), headers, method, any::<bool>()).prop_map(
        |(uri, headers, method, ignore_case)| {
            let mut condition = json!({"headers": headers, "ignoreUriCase": ignore_case});
            if let Some(uri) = uri {
                condition["uri"] = uri;
            }
            if let Some(method) = method {
                condition["method"] = json!({"exact": method});
            }
            condition
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    prop::collection::vec(prop::collection::vec(condition(), 0..3), 0..12).prop_map(|rules| {
        let http: Vec<Value> = rules
            .into_iter()
            .map(|conditions| json!({"match": conditions, "directResponse": {"status": 200}}))
            .collect();
        let mut segments = Vec::new();
        let read = |spec: Value| {
            let spec = json!({"metadata": {"name": "r", "namespace": "default"}, "spec": spec});
            virtual_service::compile(&object(spec), "cluster.local", &Default::default()).rules
        };
        let mut all = Vec::new();
        for mut rule in http {
            // Istio has no condition on segments: it is put in the place of a prefix.
            let conditions = rule["match"].as_array_mut().into_iter().flatten();
            segments.clear();
            for condition in conditions {
                let path = condition["uri"]["segments"].take();
                segments.push(path.as_str().map(str::to_owned));
                if segments.last().is_some_and(Option::is_some) {
                    condition["uri"] = json!({"prefix": "/"});
                }
            }
            for (at, mut rule) in read(json!({"hosts": ["x"], "http": [rule]}))
                .into_iter()
                .enumerate()
            {
                if let (Some(Some(path)), Some(of_path)) =
                    (segments.get(at), &mut rule.matcher.path)
                {
                    of_path.text = StringMatch::segments(path);
                    of_path.ignore_case = false;
                }
                all.push(rule);
            }
        }
        Rules::new(all)
    })
}

fn request() -> impl Strategy<Value = Parts> {
    let headers = prop::collection::vec(
        (
            prop::sample::select(vec!["x-a", "x-b"]),
            prop::sample::select(vec!["1", "2", "1,2"]),
        ),
        0..4,
    );
    (path(), headers, any::<bool>()).prop_map(|(path, headers, post)| {
        let mut head = get(&format!("http://x{path}"), &headers);
        if post {
            head.method = http::Method::POST;
        }
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn rules_are_found_as_by_scanning(rules in rules(), head in request()) {
        let ask = ask(&OUTSIDE, &head).unwrap();
        let fast = rules.find(&ask).map(std::ptr::from_ref);
        let slow = rules.all().iter().find(|rule| rule.matcher.matches(&ask));
        let slow = slow.map(std::ptr::from_ref);
        prop_assert_eq!(fast, slow);
    }

    #[test]
    fn hosts_are_found_as_by_scanning(
        patterns in prop::collection::btree_set("\\*|(\\*[.-])?[ab]([.-][abc]){0,3}", 0..8),
        host in "[ab]([.-][abc]){0,4}",
    ) {
        let patterns: Vec<HostPattern> = patterns.iter().filter_map(|text| HostPattern::parse(text)).collect();
        let mut index = HostIndex::default();
        for pattern in &patterns {
            index.insert(pattern.clone(), pattern.clone());
        }
        let rank = |pattern: &&HostPattern| match pattern {
            HostPattern::Exact(_) => usize::MAX,
            HostPattern::Suffix(suffix) => suffix.len(),
            HostPattern::Any => 0,
        };
        let covers = |pattern: &&HostPattern| match pattern {
            HostPattern::Exact(name) => **name == *host,
            HostPattern::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
            HostPattern::Any => true,
        };
        prop_assert_eq!(index.find(&host), patterns.iter().filter(covers).max_by_key(rank));
    }
}
