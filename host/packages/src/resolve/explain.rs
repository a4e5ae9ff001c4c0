//! Why no versions fit together, in words: who asks for what, what stands against it, and what would mend it.

use std::fmt::Write as _;

use codex_plugin_api::Error;
use pubgrub::{DerivationTree, External};
use semver::VersionReq;

use super::candidates::{Candidates, Unusable};
use super::provider::{Package, Provider};
use super::set::Set;

type Tree = DerivationTree<Package, Set, String>;

/// More facts than this are left to `-v`.
const SHOWN: usize = 6;

/// One thing that holds, and that no answer can change.
struct Fact {
    text: String,
    /// What would mend it, where this fact alone says so.
    hint: Option<String>,
}

/// The error for a request without an answer.
pub(super) fn no_solution(tree: &Tree, provider: &Provider<'_>) -> Error {
    let mut facts: Vec<Fact> = Vec::new();
    gather(tree, provider, &mut facts);
    let hint = facts.iter().find_map(|fact| fact.hint.clone());
    let texts: Vec<String> = facts.into_iter().map(|fact| fact.text).collect();
    let mut message = match texts.as_slice() {
        [only] => only.clone(),
        several => {
            let shown = &several[..several.len().min(SHOWN)];
            format!("no versions fit together: {}", shown.join("; "))
        }
    };
    if texts.len() > SHOWN {
        let _ = write!(message, "; and {} more facts (-v)", texts.len() - SHOWN);
    }
    let hint = hint.unwrap_or_else(|| pins_hint(tree, provider).unwrap_or_else(|| LOOSEN.into()));
    let error = Error::config(message).hint(hint);
    if texts.len() > SHOWN {
        return error.with_causes(texts);
    }
    error
}

const LOOSEN: &str = "ask for other versions of one of them, or leave one out; codex-ml plugin tree shows what is in use";

fn gather(tree: &Tree, provider: &Provider<'_>, facts: &mut Vec<Fact>) {
    match tree {
        DerivationTree::Derived(derived) => {
            gather(&derived.cause1, provider, facts);
            gather(&derived.cause2, provider, facts);
        }
        DerivationTree::External(External::FromDependencyOf(asker, which, wanted, _)) => {
            let (Package::Plugin(name), places) = (wanted, which) else {
                return;
            };
            for fact in dependency(asker, places, name, provider) {
                if facts.iter().all(|known| known.text != fact.text) {
                    facts.push(fact);
                }
            }
        }
        // Nothing but the two above has something to say: the root is always there, every set holds a version.
        DerivationTree::External(_) => {}
    }
}

/// What some versions of a plugin, or the root, ask of another.
fn dependency(asker: &Package, places: &Set, name: &str, provider: &Provider<'_>) -> Vec<Fact> {
    let Some(candidates) = provider.known(name) else {
        return Vec::new();
    };
    let (who, requirements) = match asker {
        Package::Root => {
            let needs = provider.needs(asker, 0);
            (provider.request.asker.to_owned(), needs)
        }
        Package::Plugin(asker) => {
            let Some(theirs) = provider.known(asker) else {
                return Vec::new();
            };
            let first = theirs.choose(places).unwrap_or_default();
            let needs = provider.needs(&Package::Plugin(asker.clone()), first);
            (format!("{asker} {}", versions(&theirs, places)), needs)
        }
    };
    let verb = if matches!(asker, Package::Root) {
        "asks for"
    } else {
        "needs"
    };
    requirements
        .iter()
        .filter(|(needed, _)| needed == name)
        .map(|(_, requirement)| {
            let wants = format!("{who} {verb} {name}{}", with_space(requirement));
            judge(&wants, name, requirement, &candidates, provider)
        })
        .collect()
}

/// ` ^1.2`, or nothing where every version will do.
fn with_space(requirement: &VersionReq) -> String {
    if *requirement == VersionReq::STAR {
        String::new()
    } else {
        format!(" {requirement}")
    }
}

/// A requirement, and what stands against it by itself.
fn judge(
    wants: &str,
    name: &str,
    requirement: &VersionReq,
    candidates: &Candidates,
    provider: &Provider<'_>,
) -> Fact {
    if !candidates.matching(requirement).is_empty() {
        return Fact {
            text: wants.to_owned(),
            hint: None,
        };
    }
    if !candidates.is_known() {
        let names = provider.available.names();
        let near = crate::names::nearest(name, names.iter().map(String::as_str));
        return Fact {
            text: format!("{wants}, and no registry has a plugin of that name"),
            hint: Some(near.map_or_else(
                || "codex-ml registry list shows which registries were asked".to_owned(),
                |near| format!("did you mean {near}?"),
            )),
        };
    }
    let best = candidates.best();
    let usable = best.map(|version| format!("{name}@{version}"));
    if let Some((version, why)) = candidates.obstacles(requirement).next() {
        let (against, mend) = obstacle(name, why, provider);
        let others = candidates.obstacles(requirement).count() - 1;
        let others = match others {
            0 => String::new(),
            1 => " (one older version is out too)".to_owned(),
            count => format!(" ({count} older versions are out too)"),
        };
        return Fact {
            text: format!("{wants}, but {name} {version} {against}{others}"),
            hint: Some(match usable {
                Some(usable) => format!("{usable} can be used here; {mend}"),
                None => mend,
            }),
        };
    }
    let (text, hint) = match (best, candidates.highest_unusable()) {
        (Some(best), _) => (
            format!("{wants}, and there is no such version"),
            format!("the newest that can be used here is {best}"),
        ),
        (None, Some((version, why))) => {
            let (against, mend) = obstacle(name, why, provider);
            (
                format!("{wants}, and there is no such version; {version} {against}"),
                mend,
            )
        }
        (None, None) => (
            format!("{wants}, and it has no versions"),
            LOOSEN.to_owned(),
        ),
    };
    Fact {
        text,
        hint: Some(hint),
    }
}

/// What is against a version, to follow its number, and what would mend it.
fn obstacle(name: &str, why: &Unusable, provider: &Provider<'_>) -> (String, String) {
    let host = provider.request.host;
    match why {
        Unusable::Api(api) => (
            format!("needs plugin API {api}, and this codex-ml has {}", host.api),
            "use a codex-ml that has that plugin API, or ask the author for a new build".into(),
        ),
        Unusable::Target(targets) => (
            format!(
                "has no file for {}, only for {}",
                host.target,
                targets.join(", ")
            ),
            "ask its author for that target".into(),
        ),
        Unusable::Yanked(reason) => (
            format!("was yanked: {reason}"),
            "only who has it in a lock already keeps it".into(),
        ),
        Unusable::Revoked(reason) => (
            format!("was revoked by its registry: {reason}"),
            "do not use it, and look at what it did: codex-ml plugin audit".into(),
        ),
        Unusable::Pinned(version) => (
            format!("is not {version}, to which {name} is pinned"),
            format!("codex-ml plugin unpin {name}"),
        ),
    }
}

/// Versions in words: `2.0.0`, `1.0.0 and 1.1.0`, `1.0.0 to 1.9.0`, `(every version)`.
fn versions(candidates: &Candidates, places: &Set) -> String {
    let count = candidates.count();
    let ranges: Vec<(u32, u32)> = places.ranges(count).collect();
    if ranges == [(0, count)] && count > 1 {
        return "(every version)".into();
    }
    let text = |place: u32| candidates.offer(place).version().to_string();
    let mut words: Vec<String> = ranges
        .iter()
        .filter(|(first, end)| first < end)
        .map(|&(first, end)| {
            if end - first == 1 {
                text(first)
            } else {
                format!("{} to {}", text(first), text(end - 1))
            }
        })
        .collect();
    let rest = words.len().saturating_sub(3);
    if rest > 0 {
        words.truncate(3);
        words.push(format!("{rest} more ranges"));
    }
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// The pins of plugins that have to do with it: what a user can take back at once.
fn pins_hint(tree: &Tree, provider: &Provider<'_>) -> Option<String> {
    let packages = tree.packages();
    let mut pinned: Vec<&str> = packages
        .iter()
        .filter_map(|package| match package {
            Package::Plugin(name) => Some(&**name),
            Package::Root => None,
        })
        .filter(|name| provider.request.pins.contains_key(*name))
        .collect();
    pinned.sort_unstable();
    (!pinned.is_empty()).then(|| {
        format!(
            "pinned: {}; codex-ml plugin unpin {}",
            pinned.join(", "),
            pinned.join(" ")
        )
    })
}
