//! All registries that count in a scope, in order, with trust: what an installation asks. A name is looked for where it is
//! bound to, otherwise in the first registry that has it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use codex_plugin_api::{Error, ErrorKind, Result};

use crate::client::{Client, Connection, Options, Package};
use crate::digest::sha256;
use crate::project::ProjectFile;
use crate::resolve::Host;
use crate::scope::Scope;
use crate::session::Supply;
use crate::source::{Available, Offer};
use crate::trust::{Decision, Receipt, Source, Trust, Wishes, check_manifest};

/// A registry that counts.
#[derive(Debug)]
struct One {
    client: Client,
    /// Its address as the project file writes it.
    written: String,
    source: Arc<Source>,
}

/// What one registry says of a plugin.
struct Known {
    offers: Arc<[Offer]>,
    package: Package,
}

/// What was asked: by the registry's place and the name.
type Seen = HashMap<(usize, String), Option<Rc<Known>>>;

/// The registries of one command.
pub struct Registries {
    all: Vec<One>,
    trust: Trust,
    wishes: Wishes,
    host: Host,
    seen: RefCell<Seen>,
}

impl Registries {
    /// The registries that the scopes name, those of the first scope first. Nothing is asked yet.
    ///
    /// # Errors
    /// When a project file is wrong.
    pub fn new(
        scopes: &[&Scope],
        options: &Options,
        trust: Trust,
        wishes: Wishes,
        host: Host,
    ) -> Result<Self> {
        let mut all: Vec<One> = Vec::new();
        for scope in scopes {
            for named in ProjectFile::open(&scope.project_file())?.registries()? {
                // What a project calls by a name hides what its user does.
                if all.iter().any(|one| one.source.registry == named.name) {
                    continue;
                }
                let connection =
                    Connection::new(&named.name, &named.url, named.key.as_deref(), &scope.folder)?;
                let client = Client::new(connection, options.clone());
                let url = client.url();
                all.push(One {
                    client,
                    written: named.url,
                    source: Arc::new(Source {
                        registry: named.name,
                        url,
                    }),
                });
            }
        }
        Ok(Self {
            all,
            trust,
            wishes,
            host,
            seen: RefCell::default(),
        })
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Pins and policies as they were read.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Keeps what the registries that were asked took back: it holds from now on for what is installed already, and
    /// whatever they say later.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn keep_revocations(&self) -> Result<()> {
        let asked: std::collections::BTreeSet<usize> =
            self.seen.borrow().keys().map(|(at, _)| *at).collect();
        for at in asked {
            let one = &self.all[at];
            self.trust
                .keep_revoked(&one.source.url, &one.client.revocations()?)?;
        }
        Ok(())
    }

    /// The registries that were asked for the first time ever, each with the id of the root key that is pinned now.
    pub fn met(&self) -> Vec<(&Source, String)> {
        let asked: BTreeSet<usize> = self.seen.borrow().keys().map(|(at, _)| *at).collect();
        let met = |at: usize| {
            let one = &self.all[at];
            let believed = one
                .client
                .snapshot()
                .ok()
                .filter(|believed| believed.first_use)?;
            Some((one.source.as_ref(), believed.root.id()))
        };
        asked.into_iter().filter_map(met).collect()
    }

    /// Where a plugin is looked for: where a file says, or where its name is bound to. None: in all, in order.
    fn place(&self, name: &str, registry: Option<&str>) -> Result<Option<usize>> {
        if let Some(registry) = registry {
            let found = self
                .all
                .iter()
                .position(|one| one.source.registry == registry);
            return found
                .map(Some)
                .ok_or_else(|| not_connected(name, registry, None));
        }
        let pin = self.trust.pins().plugins.get(name);
        let Some(bound) = pin.and_then(|pin| pin.source.as_ref()) else {
            return Ok(None);
        };
        let found = self.all.iter().position(|one| one.source.url == bound.url);
        found
            .map(Some)
            .ok_or_else(|| not_connected(name, &bound.registry, Some(&bound.url)))
    }

    fn known(&self, at: usize, name: &str) -> Result<Option<Rc<Known>>> {
        let key = (at, name.to_owned());
        if let Some(known) = self.seen.borrow().get(&key) {
            return Ok(known.clone());
        }
        let one = &self.all[at];
        let known = one.client.package(name)?.map(|mut package| {
            let entries = std::mem::take(&mut package.entries);
            let offer = |entry: crate::index::IndexEntry| Offer {
                entry: entry.entry,
                signed: Arc::new(entry.signed),
                key_id: entry.key_id,
                yanked: entry.yanked,
                revoked: entry.revoked,
                source: Arc::clone(&one.source),
            };
            let offers = entries.into_iter().map(offer).collect();
            Rc::new(Known { offers, package })
        });
        self.seen.borrow_mut().insert(key, known.clone());
        Ok(known)
    }

    fn of(&self, offer: &Offer) -> Result<(&One, Rc<Known>)> {
        let at = self.place(&offer.entry.name, Some(&offer.source.registry))?;
        let at = at.unwrap_or_default();
        let known = self.known(at, &offer.entry.name)?;
        known
            .map(|known| (&self.all[at], known))
            .ok_or_else(|| not_connected(&offer.entry.name, &offer.source.registry, None))
    }

    /// The registries aside from the offer's own that have a plugin of its name.
    fn also(&self, offer: &Offer) -> Vec<&str> {
        let others = self.all.iter().filter(|one| one.source != offer.source);
        // A registry that does not answer now has no say in this.
        let has = |one: &&One| {
            one.client
                .names()
                .is_ok_and(|names| names.contains(&offer.entry.name))
        };
        others
            .filter(has)
            .map(|one| one.source.registry.as_str())
            .collect()
    }
}

fn not_connected(name: &str, registry: &str, url: Option<&str>) -> Error {
    let url = url.unwrap_or("URL");
    Error::config(format!(
        "{name} comes from registry {registry}, which is not connected here"
    ))
    .hint(format!("codex-ml registry connect {registry} {url}"))
}

impl Available for Registries {
    fn offers(&self, name: &str, registry: Option<&str>) -> Result<Arc<[Offer]>> {
        if self.all.is_empty() {
            return Err(Error::config(format!(
                "no registry is connected in which {name} could be looked for"
            ))
            .hint("codex-ml registry connect NAME URL"));
        }
        if let Some(at) = self.place(name, registry)? {
            let known = self.known(at, name)?;
            return Ok(known
                .map(|known| Arc::clone(&known.offers))
                .unwrap_or_default());
        }
        for at in 0..self.all.len() {
            // One that cannot be asked is no reason to take the name from the next: that would be its way in.
            if let Some(known) = self.known(at, name)? {
                return Ok(Arc::clone(&known.offers));
            }
        }
        Ok(Arc::default())
    }

    fn names(&self) -> Vec<String> {
        let names = self.all.iter().filter_map(|one| one.client.names().ok());
        names.flatten().collect()
    }
}

impl Supply for Registries {
    fn judge(&self, offer: &Offer, older: bool) -> Result<Decision> {
        let (_, known) = self.of(offer)?;
        let mut names = self.names();
        names.extend(self.trust.pins().plugins.keys().cloned());
        let wishes = Wishes {
            older: older || self.wishes.older,
            known: names,
            allow_native: self.wishes.allow_native.clone(),
        };
        let name = &offer.entry.name;
        let mut decision = self
            .trust
            .decide(name, offer, &known.package.published, &wishes)?;
        let also = self.also(offer);
        if decision.first_use && !also.is_empty() {
            decision.warnings.push(format!(
                "{} also has a plugin {name}, which is another one: {name} comes from {} from now on",
                also.join(" and "),
                offer.source.registry
            ));
        }
        Ok(decision)
    }

    fn unpack(&self, offer: &Offer, decision: &Decision, into: &Path) -> Result<()> {
        let (one, _) = self.of(offer)?;
        let entry = &offer.entry;
        let contents = one
            .client
            .unpack(&entry.name, &entry.version, &entry.archive, into)?;
        check_manifest(entry, &contents.manifest)?;
        if contents.artifacts() != entry.artifacts {
            return Err(Error::new(
                ErrorKind::Plugin,
                format!(
                    "the files in the archive of {} are not those that were signed",
                    offer.title()
                ),
            )
            .hint("the package is broken or lies: tell its author, and do not install it"));
        }
        crate::store::write_list(into, &contents.files)?;
        Receipt::new(offer, decision).write(into)
    }

    fn record(&self, decision: &Decision) -> Result<()> {
        self.trust.record(decision)
    }

    fn accepted(&self, folder: &Path) -> Option<String> {
        let receipt = Receipt::read(folder).ok()?;
        let entry = receipt.entry().ok()?;
        let library = &entry.artifact(&self.host.target)?.path;
        let installed = self
            .trust
            .check_installed(folder, Path::new(library))
            .ok()?;
        Some(sha256(installed.receipt.signed.entry.as_bytes()))
    }

    fn written(&self, registry: &str) -> Option<String> {
        let one = self
            .all
            .iter()
            .find(|one| one.source.registry == registry)?;
        Some(one.written.clone())
    }
}
