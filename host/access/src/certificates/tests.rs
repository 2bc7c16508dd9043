//! Who gets which certificate.

use super::*;

fn asked<'a>(signer: &'a str, user: &'a str, groups: &'a [String]) -> Asked<'a> {
    Asked {
        signer,
        user,
        groups,
        usages: &[],
        seconds: None,
        approved: false,
    }
}

fn groups(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn node(name: &str) -> Requested {
    Requested {
        common_name: format!("{NODE_PREFIX}{name}"),
        organizations: groups(&[NODES]),
        ..Requested::default()
    }
}

fn workload(spiffe: Option<&str>) -> Requested {
    Requested {
        names: vec!["b.nodes.osier.internal".to_owned()],
        spiffe: spiffe.map(ToOwned::to_owned),
        ..Requested::default()
    }
}

fn facts() -> Facts {
    Facts {
        ready: BTreeSet::from(["a".to_owned()]),
        accounts: BTreeSet::from([("shop".to_owned(), "web".to_owned())]),
        domain: "cluster.local".to_owned(),
    }
}

fn denied(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Deny(_))
}

#[test]
fn a_token_joins_a_new_node_and_no_living_one() {
    let (boot, none) = (groups(&[BOOTSTRAPPERS]), groups(&[]));
    let join = |requested: &Requested| {
        decide(
            &asked(KUBELET, "system:bootstrap:x", &boot),
            requested,
            &facts(),
        )
    };
    assert_eq!(join(&node("b")), Verdict::Approve(LIFE_KUBELET));
    assert!(denied(join(&node("a"))), "a lives");
    assert!(denied(join(&Requested {
        organizations: groups(&["system:masters"]),
        ..node("b")
    })));
    assert!(denied(join(&Requested {
        common_name: "admin".to_owned(),
        ..node("b")
    })));
    assert!(denied(join(&Requested {
        names: groups(&["localhost"]),
        ..node("b")
    })));
    let stranger = asked(KUBELET, "somebody", &none);
    assert!(denied(decide(&stranger, &node("b"), &facts())));
}

#[test]
fn a_token_of_a_workload_makes_its_companion_and_nothing_else() {
    let (plain, bound) = (
        groups(&[BOOTSTRAPPERS]),
        groups(&[BOOTSTRAPPERS, "system:bootstrappers:workload:shop:vm"]),
    );
    let join = |groups: &[String], name: &str| {
        let asked = asked(KUBELET, "system:bootstrap:x", groups);
        decide(&asked, &node(name), &facts())
    };
    assert_eq!(
        join(&bound, "vm.shop.workload"),
        Verdict::Approve(LIFE_KUBELET)
    );
    assert!(denied(join(&bound, "other.shop.workload")));
    assert!(denied(join(&bound, "vm.other.workload")));
    assert!(denied(join(&bound, "b")), "no node");
    assert!(denied(join(&plain, "vm.shop.workload")), "no token for it");
    let of_group = groups(&[BOOTSTRAPPERS, "system:bootstrappers:group:shop:vms"]);
    for member in ["a.vms.shop.grouped", "10.0.0.9.vms.shop.grouped"] {
        assert_eq!(join(&of_group, member), Verdict::Approve(LIFE_KUBELET));
        assert!(denied(join(&bound, member)));
    }
    for other in [
        "a.vms.other.grouped",
        "a.vms-2.shop.grouped",
        "a.vms.shop.workload",
        "b",
    ] {
        assert!(denied(join(&of_group, other)), "{other}");
    }
}

#[test]
fn a_node_renews_its_own_certificate_only() {
    let nodes = groups(&[NODES]);
    let renew = |requested| {
        decide(
            &asked(KUBELET, "system:node:a", &nodes),
            &requested,
            &facts(),
        )
    };
    assert_eq!(renew(node("a")), Verdict::Approve(LIFE_KUBELET));
    assert!(denied(renew(node("b"))));
}

#[test]
fn identities_go_to_the_nodes_whose_pods_have_them() {
    let (nodes, edge) = (groups(&[NODES]), groups(&[NODES, CONTROL_PLANE]));
    let ask = |groups: &[String], spiffe| {
        let user = asked(MESH, "system:node:b", groups);
        decide(&user, &workload(spiffe), &facts())
    };
    let web = Some("spiffe://cluster.local/ns/shop/sa/web");
    let gateway = Some("spiffe://cluster.local/ns/osier-system/sa/gateway");
    assert_eq!(ask(&nodes, web), Verdict::Approve(LIFE_MESH));
    assert_eq!(ask(&nodes, None), Verdict::Approve(LIFE_MESH));
    assert!(denied(ask(
        &nodes,
        Some("spiffe://cluster.local/ns/shop/sa/other")
    )));
    assert!(denied(ask(
        &nodes,
        Some("spiffe://elsewhere/ns/shop/sa/web")
    )));
    assert!(denied(ask(&nodes, gateway)));
    assert_eq!(ask(&edge, gateway), Verdict::Approve(LIFE_MESH));
    let other = asked(MESH, "system:node:c", &nodes);
    assert!(
        denied(decide(&other, &workload(None), &facts())),
        "the name of another node"
    );
}

#[test]
fn the_life_asked_for_is_given_up_to_a_bound_and_other_signers_are_left_alone() {
    let nodes = groups(&[NODES]);
    let mut one = asked(KUBELET, "system:node:a", &nodes);
    one.seconds = Some(600);
    assert_eq!(
        decide(&one, &node("a"), &facts()),
        Verdict::Approve(Duration::from_secs(600))
    );
    one.seconds = Some(u64::MAX);
    assert_eq!(
        decide(&one, &node("a"), &facts()),
        Verdict::Approve(LIFE_KUBELET)
    );
    one.signer = "example.com/other";
    assert_eq!(decide(&one, &node("a"), &facts()), Verdict::Leave);
}

#[test]
fn a_client_gets_what_was_approved() {
    let (none, usages) = (groups(&[]), groups(&["client auth", "digital signature"]));
    let ann = Requested {
        common_name: "ann".to_owned(),
        organizations: groups(&["team"]),
        ..Requested::default()
    };
    let of = |asked: &Asked<'_>, requested: &Requested| decide(asked, requested, &facts());
    let open = Asked {
        usages: &usages,
        ..asked(CLIENT, "bob", &none)
    };
    assert_eq!(of(&open, &ann), Verdict::Leave, "nobody approved it");
    let approved = Asked {
        approved: true,
        ..open
    };
    assert_eq!(of(&approved, &ann), Verdict::Approve(LIFE_CLIENT));
    let brief = Asked {
        seconds: Some(1),
        ..approved
    };
    assert_eq!(of(&brief, &ann), Verdict::Approve(SHORTEST));
    let wrong = [
        Requested {
            organizations: groups(&[MASTERS]),
            ..ann.clone()
        },
        Requested {
            spiffe: Some("spiffe://cluster.local/ns/a/sa/b".to_owned()),
            ..ann.clone()
        },
    ];
    assert!(
        wrong
            .iter()
            .all(|requested| denied(of(&approved, requested)))
    );
    let serving = groups(&["server auth"]);
    for usages in [&serving[..], &[]] {
        let asked = Asked { usages, ..approved };
        assert!(denied(of(&asked, &ann)));
    }
}
