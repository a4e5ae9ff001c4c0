//! A registry of a few lines of text, for tests of what works with versions.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use codex_plugin_api::Result;

use crate::digest::sha256;
use crate::entry::{ANY_TARGET, Artifact, Entry, FileDigest, SignedEntry};
use crate::source::{Available, Offer};
use crate::trust::Source;

/// Offers by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shop {
    offers: BTreeMap<String, Vec<Offer>>,
}

impl Shop {
    /// One version a line: `name version [yanked|revoked] [api REQ] [on TARGET+TARGET] [: name REQ, name REQ]`.
    pub(crate) fn of(lines: &[&str]) -> Self {
        let mut shop = Self::default();
        for line in lines {
            shop.add(offer(line));
        }
        shop
    }

    pub(crate) fn add(&mut self, offer: Offer) {
        let name = offer.entry.name.clone();
        self.offers.entry(name).or_default().push(offer);
    }
}

impl Available for Shop {
    fn offers(&self, name: &str, _registry: Option<&str>) -> Result<Arc<[Offer]>> {
        Ok(self.offers.get(name).cloned().unwrap_or_default().into())
    }

    fn names(&self) -> Vec<String> {
        self.offers.keys().cloned().collect()
    }
}

/// The offer of one line.
pub(crate) fn offer(line: &str) -> Offer {
    let (head, needs) = line.split_once(": ").unwrap_or((line, ""));
    let words: Vec<&str> = head.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|other| *other == word)?;
        Some(words[at + 1])
    };
    let digest = |text: &str| FileDigest {
        size: text.len() as u64,
        sha256: sha256(text.as_bytes()),
    };
    let targets = after("on").unwrap_or(ANY_TARGET).split('+');
    let artifact = |target: &str| Artifact {
        path: format!("artifacts/{target}/{}", words[0]),
        digest: digest(&format!("{head} for {target}")),
    };
    let entry = Entry {
        name: words[0].into(),
        version: words[1].parse().unwrap(),
        api: after("api").unwrap_or("^1").parse().unwrap(),
        description: String::new(),
        license: None,
        components: Vec::new(),
        dependencies: needs
            .split(", ")
            .filter_map(|need| need.split_once(' '))
            .map(|(name, versions)| (name.into(), versions.parse().unwrap()))
            .collect(),
        permissions: codex_plugin_api::Permissions::default(),
        archive: digest(head),
        artifacts: targets
            .map(|target| (target.into(), artifact(target)))
            .collect(),
    };
    let signed = SignedEntry {
        entry: serde_json::to_string(&entry).unwrap(),
        signature: format!("signature of {head}"),
    };
    let reason = |word: &str| words.contains(&word).then(|| "broken".to_owned());
    Offer {
        entry,
        signed: Arc::new(signed),
        key_id: "0123456789ABCDEF".into(),
        yanked: reason("yanked"),
        revoked: reason("revoked"),
        source: Arc::new(Source {
            registry: "shop".into(),
            url: "file:///shop".into(),
        }),
    }
}
