//! Who needs whom in a lock.

use std::collections::BTreeSet;

use semver::VersionReq;
use serde::Serialize;

use crate::lock::{Lock, Locked};
use crate::resolve::Requirement;

/// One line of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// How deep it stands: 0 for what is asked for.
    pub depth: usize,
    /// The plugin.
    pub name: String,
    /// Its version; none where the lock lacks it.
    pub version: Option<semver::Version>,
    /// What is asked for.
    pub requirement: VersionReq,
    /// Whether it stood further above, with what it needs.
    pub repeated: bool,
}

/// Everything that is asked for, with what that needs, each shown in full once.
pub fn tree(lock: &Lock, wanted: &[Requirement]) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut shown = BTreeSet::new();
    for wanted in wanted {
        descend(
            lock,
            &wanted.name,
            &wanted.versions,
            0,
            &mut shown,
            &mut nodes,
        );
    }
    nodes
}

fn descend(
    lock: &Lock,
    name: &str,
    requirement: &VersionReq,
    depth: usize,
    shown: &mut BTreeSet<String>,
    nodes: &mut Vec<Node>,
) {
    let locked = lock.plugins.get(name);
    let repeated = !shown.insert(name.to_owned());
    nodes.push(Node {
        depth,
        name: name.to_owned(),
        version: locked.map(|locked| locked.version.clone()),
        requirement: requirement.clone(),
        repeated: repeated && locked.is_some_and(|locked| !locked.dependencies.is_empty()),
    });
    if let Some(locked) = locked.filter(|_| !repeated) {
        for (name, requirement) in &locked.dependencies {
            descend(lock, name, requirement, depth + 1, shown, nodes);
        }
    }
}

/// One step of a reason: a plugin and what it, or the file, asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The plugin that asks; none for the project file.
    pub asker: Option<String>,
    /// The plugin that is asked for.
    pub name: String,
    /// Which versions.
    pub requirement: VersionReq,
}

/// Why a plugin is in use: the shortest way to it from everything that is asked for, and from every plugin that needs it
/// directly.
pub fn why(lock: &Lock, wanted: &[Requirement], name: &str) -> Vec<Vec<Step>> {
    let mut ways = Vec::new();
    if let Some(wanted) = wanted.iter().find(|wanted| wanted.name == name) {
        ways.push(vec![first(wanted)]);
    }
    let needs = |locked: &&Locked| locked.dependencies.contains_key(name);
    for locked in lock.plugins.values().filter(needs) {
        if let Some(mut way) = way_to(lock, wanted, &locked.name) {
            way.push(Step {
                asker: Some(locked.name.clone()),
                name: name.to_owned(),
                requirement: locked.dependencies[name].clone(),
            });
            ways.push(way);
        }
    }
    ways
}

fn first(wanted: &Requirement) -> Step {
    Step {
        asker: None,
        name: wanted.name.clone(),
        requirement: wanted.versions.clone(),
    }
}

/// The shortest way from what is asked for to a plugin.
fn way_to(lock: &Lock, wanted: &[Requirement], name: &str) -> Option<Vec<Step>> {
    let mut ways: Vec<Vec<Step>> = wanted.iter().map(|wanted| vec![first(wanted)]).collect();
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let here = way.last()?.name.clone();
            if here == name {
                return Some(way);
            }
            if !seen.insert(here.clone()) {
                continue;
            }
            for (next, requirement) in lock
                .plugins
                .get(&here)
                .into_iter()
                .flat_map(|locked| &locked.dependencies)
            {
                let mut way = way.clone();
                way.push(Step {
                    asker: Some(here.clone()),
                    name: next.clone(),
                    requirement: requirement.clone(),
                });
                longer.push(way);
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::offer;

    fn lock() -> Lock {
        let lines = [
            "a 1.0.0: c ^1",
            "b 1.0.0: a *, c *",
            "c 1.2.0: d ^1",
            "d 1.0.0: a *",
        ];
        let locked = lines.map(|line| Locked::of(&offer(line), "url"));
        Lock {
            plugins: locked
                .into_iter()
                .map(|locked| (locked.name.clone(), locked))
                .collect(),
        }
    }

    fn wanted(names: &[&str]) -> Vec<Requirement> {
        let one = |name: &&str| Requirement {
            name: (*name).into(),
            versions: VersionReq::STAR,
            registry: None,
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn a_tree_shows_each_plugin_in_full_once_and_rings_end() {
        let lines: Vec<String> = tree(&lock(), &wanted(&["b", "missing"]))
            .iter()
            .map(|node| {
                format!(
                    "{}{}{}",
                    " ".repeat(node.depth),
                    node.name,
                    if node.repeated { " *" } else { "" }
                )
            })
            .collect();
        assert_eq!(
            lines,
            ["b", " a", "  c", "   d", "    a *", " c *", "missing"]
        );
    }

    #[test]
    fn every_reason_is_given_by_its_shortest_way() {
        let ways = |names: &[&str], name: &str| -> Vec<String> {
            let text = |way: Vec<Step>| {
                way.into_iter()
                    .map(|step| step.name)
                    .collect::<Vec<_>>()
                    .join(">")
            };
            why(&lock(), &wanted(names), name)
                .into_iter()
                .map(text)
                .collect()
        };
        assert_eq!(ways(&["b", "c"], "c"), ["c", "b>a>c", "b>c"]);
        assert_eq!(ways(&["b"], "d"), ["b>c>d"]);
        assert_eq!(ways(&["b"], "none"), [] as [&str; 0]);
    }
}
