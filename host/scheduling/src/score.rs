//! How well each of several nodes suits a pod. Pure.
//!
//! As upstream, every view of the matter gives each node 0 to 1000, and the views are weighted.

use crate::ask::Ask;
use crate::neighbours::{Counts, standing};
use crate::node_affinity;
use crate::opinion::Opinions;
use crate::room::Room;
use crate::topology::Topologies;
use crate::world::World;

const FULL: i64 = 1000;
/// Upstream's weights: free resources 1, taints 3, node affinity 2, neighbours 2, spreading 2.
const TAINTS: i64 = 3;
const NODE_AFFINITY: i64 = 2;
const NEIGHBOURS: i64 = 2;
const SPREADING: i64 = 2;
/// What plugins think counts more than all of that together: whoever loads one wants it so.
const OPINIONS: i64 = 20;

/// The node of the highest score; of equals the first by name. `fitting` are numbers of nodes.
pub(crate) fn best(
    ask: &Ask<'_>,
    fitting: &[usize],
    (world, opinions): (&World, &Opinions),
    topologies: &mut Topologies,
) -> Option<usize> {
    let room = |node: &usize| world.rooms.get(*node);
    let free = |node: &usize| room(node).map_or(0, |room| room.free_share(&ask.demand));
    let mut scores: Vec<i64> = fitting
        .iter()
        .map(|node| i64::try_from(free(node)).unwrap_or(0))
        .collect();
    let shunned = |node: &usize| room(node).map_or(0, |room| shunned(ask, room));
    add(&mut scores, fitting.iter().map(shunned), -TAINTS);
    let preferred = node_affinity::preferred(ask.spec);
    if !preferred.is_empty() {
        let liked = |node: &usize| {
            room(node).map_or(0, |room| node_affinity::liking(preferred, room.site()))
        };
        add(&mut scores, fitting.iter().map(liked), NODE_AFFINITY);
    }
    let near = neighbours(ask, world, topologies);
    if !near.is_empty() {
        let sum = |node: &usize| near.iter().map(|one| one.at(*node)).sum();
        add(&mut scores, fitting.iter().map(sum), NEIGHBOURS);
    }
    if ask.spreads.iter().any(|spread| !spread.required) {
        let crowd = crowds(ask, world, topologies);
        let sum = |node: &usize| crowd.iter().map(|one| one.at(*node)).sum();
        add(&mut scores, fitting.iter().map(sum), -SPREADING);
    }
    if !opinions.is_empty() {
        let thought = |node: &usize| room(node).map_or(0, |room| opinions.score(&room.name));
        add(&mut scores, fitting.iter().map(thought), OPINIONS);
    }
    let named = |node: &usize| room(node).map_or("", |room| room.name.as_str());
    let scored = fitting.iter().zip(scores);
    let best =
        scored.max_by(|(a, left), (b, right)| left.cmp(right).then_with(|| named(b).cmp(named(a))));
    best.map(|(node, _)| *node)
}

/// Adds a view of the nodes: the least of them counts nothing, the greatest everything.
fn add(scores: &mut [i64], view: impl Iterator<Item = i64> + Clone, weight: i64) {
    let (Some(least), Some(most)) = (view.clone().min(), view.clone().max()) else {
        return;
    };
    if least == most {
        return;
    }
    for (score, one) in scores.iter_mut().zip(view) {
        *score += weight * FULL * (one - least) / (most - least);
    }
}

/// How many taints would rather not have the pod.
fn shunned(ask: &Ask<'_>, room: &Room) -> i64 {
    let soft = room.taints.iter().filter(|taint| taint.would_rather_not());
    let count = soft.filter(|taint| !ask.tolerates(taint)).count();
    i64::try_from(count).unwrap_or(0)
}

/// A number for each domain, and what a pod there counts for.
struct Weighted {
    counts: Counts,
    weight: i64,
    /// What a node without the label gets.
    without: i64,
}

impl Weighted {
    fn at(&self, node: usize) -> i64 {
        let near = self.counts.near(node);
        near.map_or(self.without, |near| self.weight * i64::from(near))
    }
}

/// What a pod's preferences for its neighbours, and theirs for it, say.
fn neighbours(ask: &Ask<'_>, world: &World, topologies: &mut Topologies) -> Vec<Weighted> {
    let namespaces = &world.namespaces;
    let mut made = Vec::new();
    let mut of = |key: &str, weight: i64| Weighted {
        counts: Counts::new(topologies.of(key, &world.rooms)),
        weight,
        without: 0,
    };
    for (weight, term) in &ask.affinity.prefers {
        let mut one = of(&term.key, *weight);
        for kind in world.kinds.meant(term, namespaces) {
            kind.on
                .iter()
                .for_each(|(node, count)| one.counts.add_at(*node, *count));
        }
        made.push(one);
    }
    for kind in world.kinds.returning() {
        let meant = kind.affinity.returned().filter(|(_, term)| {
            term.speaks_of(ask.namespace, namespaces) && term.selects(&ask.labels)
        });
        for (weight, term) in meant {
            let mut one = of(&term.key, weight);
            kind.on
                .iter()
                .for_each(|(node, count)| one.counts.add_at(*node, *count));
            made.push(one);
        }
    }
    made
}

/// How many pods each domain has, of those that are to be spread if that can be. A constraint with many domains, which have few pods
/// each, counts for more.
fn crowds(ask: &Ask<'_>, world: &World, topologies: &mut Topologies) -> Vec<Weighted> {
    let soft = ask.spreads.iter().filter(|spread| !spread.required);
    soft.map(|spread| {
        let mut counts = Counts::new(topologies.of(&spread.key, &world.rooms));
        let mut all = 0;
        for (node, count) in standing(spread, ask, world).into_iter().enumerate() {
            counts.add_at(node, count);
            all += i64::from(count);
        }
        let weight = i64::from((counts.domains() + 2).ilog2());
        Weighted {
            counts,
            weight,
            without: weight * (all + 1),
        }
    })
    .collect()
}
