//! The clusters that were made so far of one subset, for callers for whom different rules hold: found by how they are called, so
//! that what is equal is one value, however many there are.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use osier_balancing::{Balancing, Ejections, OutlierPolicy, Upstream};

use osier_routing::service::{Cluster, Manner};

/// Clusters of one subset.
#[derive(Default)]
pub(super) struct Made {
    first: Option<Arc<Cluster>>,
    by_manner: HashMap<u64, Vec<Arc<Cluster>>>,
    by_outlier: HashMap<Option<OutlierPolicy>, Vec<Arc<Cluster>>>,
    ejections: HashSet<*const Ejections>,
}

/// What a new cluster may continue.
#[derive(Clone, Copy, Default)]
pub(super) struct Before<'a> {
    /// What its own callers had.
    pub(super) own: Option<&'a Arc<Cluster>>,
    /// What all others had.
    pub(super) others: Option<&'a Arc<Cluster>>,
}

impl Made {
    /// How a cluster is called, as one value with whoever is called alike: connections are kept by what they were made for.
    pub(super) fn manner(
        &self,
        (balancing, upstream): (Balancing, Upstream),
        before: Option<&Arc<Cluster>>,
    ) -> Manner {
        let alike = self.by_manner.get(&fingerprint(&balancing, &upstream));
        let known = || {
            let alike = alike.into_iter().flatten();
            alike.chain(&self.first).chain(before)
        };
        let same = known().find(|known| *known.balancing == balancing);
        let balancing = same.map_or_else(|| Arc::new(balancing), |it| Arc::clone(&it.balancing));
        let same = known().find(|known| *known.upstream == upstream);
        let upstream = same.map_or_else(|| Arc::new(upstream), |it| Arc::clone(&it.upstream));
        (balancing, upstream)
    }

    /// The name that clusters of this subset have.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        Some(&self.first.as_ref()?.name)
    }

    /// One that is the same as this, or this, with what is known of its endpoints. One failure counts once for all who judge alike,
    /// and for nobody else.
    pub(super) fn settle(&mut self, cluster: Cluster, before: Before<'_>) -> Arc<Cluster> {
        let key = fingerprint(&cluster.balancing, &cluster.upstream);
        let alike = self.by_manner.get(&key).into_iter().flatten();
        if let Some(same) = alike.into_iter().find(|made| made.same(&cluster)) {
            return Arc::clone(same);
        }
        let like = self.by_outlier.get(&cluster.balancing.outlier);
        let like = like
            .into_iter()
            .flatten()
            .find(|made| made.has_the_endpoints_of(&cluster));
        let cluster = self.finished(cluster, like, before);
        self.first.get_or_insert_with(|| Arc::clone(&cluster));
        self.ejections.insert(Arc::as_ptr(&cluster.ejections));
        let outlier = cluster.balancing.outlier.clone();
        let of_outlier = self.by_outlier.entry(outlier).or_default();
        of_outlier.push(Arc::clone(&cluster));
        let of_manner = self.by_manner.entry(key).or_default();
        of_manner.push(Arc::clone(&cluster));
        cluster
    }

    fn finished(
        &self,
        mut cluster: Cluster,
        like: Option<&Arc<Cluster>>,
        before: Before<'_>,
    ) -> Arc<Cluster> {
        // It goes on with what it knew, unless others go on with that already and judge differently now.
        let goes_on = |own: &&Arc<Cluster>| match like {
            Some(like) => Arc::ptr_eq(&like.ejections, &own.ejections),
            None => !self.ejections.contains(&Arc::as_ptr(&own.ejections)),
        };
        let going_on = before.own.filter(goes_on);
        if let Some(same) = going_on.filter(|own| own.same(&cluster)) {
            return Arc::clone(same);
        }
        cluster.finish(before.own.map(|own| &**own));
        match (like, before.own.or(before.others)) {
            (Some(like), _) => cluster.learn_with(like),
            (None, Some(known)) if going_on.is_none() => cluster.learn_apart(known),
            _ => {}
        }
        Arc::new(cluster)
    }
}

/// Equal for what is called alike, and nearly always different for what is not.
fn fingerprint(balancing: &Balancing, upstream: &Upstream) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&balancing.balancer, &balancing.outlier, upstream).hash(&mut hasher);
    hasher.finish()
}
