//! From a goal to a plan: nothing is fetched or written here but what registries say of versions.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, Result};
use semver::{Comparator, Op, VersionReq};

use super::{Edit, Goal, Plan, Renew, Session};
use crate::digest::sha256;
use crate::history::{Entry, Parent};
use crate::lock::{Lock, Locked};
use crate::project::ProjectFile;
use crate::resolve::{Request, Requirement, Resolution, resolve};
use crate::scope::PROJECT_FILE;

impl Session<'_> {
    /// What a goal leads to.
    ///
    /// # Errors
    /// When the files are wrong, an edit makes no sense, no versions fit together, or the lock would change and must not.
    pub fn plan(&self, goal: &Goal) -> Result<Plan> {
        let before = self.state()?;
        let mut project = ProjectFile::parse(&self.scope.project_file(), before.project.clone())?;
        let old = self.lock(before.lock.as_deref())?;
        let open = edit(&mut project, &old, &goal.edits)?;
        let lock = self.choose(goal, &mut project, &old, &open)?;
        let changes = old.changes(&lock);
        if goal.locked && (!changes.is_empty() || project.is_changed()) {
            let lines: Vec<String> = changes.iter().map(crate::lock::Change::line).collect();
            return Err(Error::config(format!(
                "{} does not answer {}: {}",
                self.scope.lock_file().display(),
                self.scope.project_file().display(),
                lines.join(", ")
            ))
            .hint("without --locked the lock is brought up to date: codex-ml plugin sync"));
        }
        let named = goal.edits.iter().filter_map(|edit| match edit {
            Edit::Want {
                name,
                versions: Some(_),
                ..
            }
            | Edit::Pin(name, _) => Some(name.clone()),
            _ => None,
        });
        Ok(Plan {
            what: goal.what.clone(),
            remarks: remarks(&old, &lock),
            before,
            parent: Parent::Current,
            older: false,
            named: named.collect(),
            thorough: goal.thorough,
            project,
            lock,
            changes,
        })
    }

    /// The way back to a state of the history.
    ///
    /// # Errors
    /// When there is no such state, or it cannot be read any more.
    pub fn plan_back(&self, number: Option<u64>) -> Result<Plan> {
        let before = self.state()?;
        let Entry {
            number: target,
            state,
            parent,
            ..
        } = self.history().target(&before, number)?;
        let mut project = ProjectFile::parse(&self.scope.project_file(), state.project)?;
        project.stands_as(before.project.clone());
        let old = self.lock(before.lock.as_deref()).unwrap_or_default();
        let lock = self.lock(state.lock.as_deref())?;
        Ok(Plan {
            what: format!("rollback to {target}"),
            changes: old.changes(&lock),
            remarks: remarks(&old, &lock),
            before,
            parent: Parent::Of(parent),
            project,
            lock,
            older: true,
            named: Vec::new(),
            thorough: false,
        })
    }

    fn lock(&self, text: Option<&str>) -> Result<Lock> {
        let origin = self.scope.lock_file();
        text.map_or_else(
            || Ok(Lock::default()),
            |text| Lock::parse(text, &origin.display().to_string()),
        )
    }

    /// The versions for what is asked for. `open` are the plugins that were named without a requirement.
    fn choose(
        &self,
        goal: &Goal,
        project: &mut ProjectFile,
        old: &Lock,
        open: &[String],
    ) -> Result<Lock> {
        let (mut wanted, pins) = (project.wanted()?, project.pins()?);
        let runs = old
            .plugins
            .values()
            .all(|locked| locked.obstacle(self.host).is_none());
        if open.is_empty() && goal.renew == Renew::None && runs {
            // What is asked for no longer only goes: no registry has to be asked for that.
            let kept = old.only(&old.reachable(wanted.iter().map(|wanted| wanted.name.as_str())));
            if kept.answers(&wanted, &pins) {
                return Ok(kept);
            }
        }
        let locked = old.versions();
        let forgotten: BTreeSet<String> = match &goal.renew {
            Renew::None => BTreeSet::new(),
            Renew::Named(names) => names.iter().cloned().collect(),
            Renew::All => locked.keys().cloned().collect(),
        };
        let asked = wanted.clone();
        // A version in use must come from where it came from.
        for wanted in &mut wanted {
            if wanted.registry.is_none()
                && let Some(locked) = old.plugins.get(&wanted.name)
            {
                wanted.registry = Some(locked.registry.clone())
                    .filter(|name| self.supply.written(name).is_some());
            }
        }
        let resolution = resolve(
            &Request {
                host: self.host,
                asker: PROJECT_FILE,
                wanted: &wanted,
                locked: &locked,
                forgotten: &forgotten,
                pins: &pins,
            },
            self.supply,
        )?;
        for name in open {
            if let Some(offer) = resolution.get(name) {
                let registry = asked.iter().find(|wanted| wanted.name == *name);
                project.want(&Requirement {
                    name: name.clone(),
                    versions: compatible(offer.version()),
                    registry: registry.and_then(|wanted| wanted.registry.clone()),
                });
            }
        }
        Ok(self.lock_of(&resolution, old))
    }

    fn lock_of(&self, resolution: &Resolution, old: &Lock) -> Lock {
        let locked = |offer: &crate::source::Offer| {
            let name = &offer.entry.name;
            let kept = old.plugins.get(name).filter(|kept| {
                kept.registry == offer.source.registry
                    && kept.entry == sha256(offer.signed.entry.as_bytes())
            });
            let locked = kept.cloned().unwrap_or_else(|| {
                let written = self.supply.written(&offer.source.registry);
                Locked::of(offer, &written.unwrap_or_else(|| offer.source.url.clone()))
            });
            (name.clone(), locked)
        };
        Lock {
            plugins: resolution.iter().map(locked).collect(),
        }
    }
}

/// `^1.2.3`: the version and what is compatible with it.
fn compatible(version: &semver::Version) -> VersionReq {
    VersionReq {
        comparators: vec![Comparator {
            op: Op::Caret,
            major: version.major,
            minor: Some(version.minor),
            patch: Some(version.patch),
            pre: version.pre.clone(),
        }],
    }
}

/// Edits the project file; gives the plugins that are asked for anew without a requirement.
fn edit(project: &mut ProjectFile, old: &Lock, edits: &[Edit]) -> Result<Vec<String>> {
    let mut open = Vec::new();
    for edit in edits {
        match edit {
            Edit::Want {
                name,
                versions,
                registry,
            } => {
                let known = project.wanted()?.iter().any(|wanted| wanted.name == *name);
                if versions.is_none() && registry.is_none() && known {
                    continue;
                }
                if versions.is_none() {
                    open.push(name.clone());
                }
                project.want(&Requirement {
                    name: name.clone(),
                    versions: versions.clone().unwrap_or(VersionReq::STAR),
                    registry: registry.clone(),
                });
            }
            Edit::Unwant(name) => {
                if !project.unwant(name) {
                    return Err(unasked(project, old, name)?);
                }
                project.unpin(name);
            }
            Edit::Pin(name, version) => {
                let in_use = || old.plugins.get(name).map(|locked| locked.version.clone());
                let Some(version) = version.clone().or_else(in_use) else {
                    return Err(unknown(old, name));
                };
                project.pin(name, &version);
            }
            Edit::Unpin(name) => {
                if !project.unpin(name) {
                    return Err(Error::config(format!("{name} is not pinned"))
                        .hint("codex-ml plugin tree shows what is"));
                }
            }
        }
    }
    Ok(open)
}

/// The error for a plugin that cannot be taken away because nobody asked for it.
fn unasked(project: &ProjectFile, old: &Lock, name: &str) -> Result<Error> {
    let owners: Vec<&str> = old
        .plugins
        .values()
        .filter(|locked| locked.dependencies.contains_key(name))
        .map(|locked| locked.name.as_str())
        .collect();
    if !owners.is_empty() {
        let message = format!("{name} is there because {} needs it", owners.join(" and "));
        return Ok(Error::config(message).hint(format!(
            "codex-ml plugin remove {} takes both away",
            owners.join(" ")
        )));
    }
    let wanted = project.wanted()?;
    let near = crate::names::nearest(name, wanted.iter().map(|wanted| wanted.name.as_str()));
    let error = Error::config(format!(
        "{} does not ask for {name}",
        project.path().display()
    ));
    Ok(error.hint(near.map_or_else(
        || "codex-ml plugin tree shows what is asked for".to_owned(),
        |near| format!("did you mean {near}?"),
    )))
}

fn unknown(old: &Lock, name: &str) -> Error {
    let near = crate::names::nearest(name, old.plugins.keys().map(String::as_str));
    Error::config(format!(
        "{name} is not in use, so there is no version to pin it to"
    ))
    .hint(match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add it first, or name the version: codex-ml plugin pin {name}@1.2.3"),
    })
}

/// What a user should know of a change beyond the versions.
fn remarks(old: &Lock, new: &Lock) -> Vec<String> {
    let changed = new.plugins.values().filter(|after| {
        let before = old.plugins.get(&after.name);
        before.is_some_and(|before| before.permissions != after.permissions)
    });
    changed
        .map(|after| {
            format!(
                "{} asks for other permissions than before; it does nothing until you decide: codex-ml plugin grant {}",
                after.title(),
                after.name
            )
        })
        .collect()
}
